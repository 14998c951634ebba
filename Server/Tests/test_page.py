"""The page in Chromium, as a person uses it. Screenshots lie in $SD_ONNX_SCREENSHOTS, if that is set."""

import io
import os
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import expect, sync_playwright

from conftest import MODEL, PATIENCE, Server, wait_for

FOLDER = os.environ.get("SD_ONNX_SCREENSHOTS")


expect.set_options(timeout=1000 * PATIENCE)


@pytest.fixture(scope="module")
def own():
    with Server("--lora-dir", os.path.join(MODEL, "lora")) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture()
def page(own, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.problems = problems
    page.goto(own.url)
    page.wait_for_selector("#model option", state="attached")
    yield page
    context.close()
    # What is refused on purpose is logged by the browser as an error of the network.
    assert [problem for problem in problems if "Failed to load resource" not in problem] == []


def shoot(page, name):
    if FOLDER:
        page.screenshot(path=os.path.join(FOLDER, name + ".png"))


def make(page, prompt="a red apple on a blue background", **fields):
    page.fill("#prompt", prompt)
    for name, value in {"steps": "8", **fields}.items():
        page.fill(f"#{name}", str(value))
    before = page.locator("#gallery li").count()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#gallery li")).to_have_count(before + int(fields.get("count", 1)))
    expect(page.locator("#picture")).to_be_visible()


def test_making_and_finding_again(page):
    expect(page.locator("#prompt-count")).to_contain_text("0 / 30 tokens")
    make(page, seed=5, cfg_scale=5)
    expect(page.locator("#prompt-count")).to_contain_text("tokens")
    assert "Seed: 5" in page.locator("#settings").inner_text()
    make(page, "an owl", seed=6, count=3)
    if FOLDER:
        for seed, prompt in enumerate(["a fox", "a rocket on a black background", "a sunflower on a blue background", "a penguin on a red background"]):
            make(page, prompt, seed=seed, steps=20, count=1)
        page.mouse.move(640, 5)
        shoot(page, "made")
        return
    # All is there after a reload: settings and pictures.
    page.reload()
    expect(page.locator("#gallery li")).to_have_count(4)
    expect(page.locator("#prompt")).to_have_value("an owl")
    # Arrows go through the gallery, and settings come back by a click.
    page.locator("#gallery button").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert "Seed: 5" in page.locator("#settings").inner_text()
    page.click("#restore")
    expect(page.locator("#prompt")).to_have_value("a red apple on a blue background")
    expect(page.locator("#seed")).to_have_value("5")
    page.click("#random")
    expect(page.locator("#seed")).to_have_value("")
    page.click("#recycle")
    expect(page.locator("#seed")).to_have_value("5")
    page.click("#delete")
    expect(page.locator("#gallery li")).to_have_count(3)


def test_preview_and_cancel(page):
    page.fill("#prompt", "a castle")
    for name, value in [("steps", "100"), ("width", "256"), ("height", "256")]:
        page.fill(f"#{name}", value)
    page.click("#make")
    expect(page.locator("#preview")).to_be_visible()
    expect(page.locator("#progress")).to_contain_text("left")
    shoot(page, "working")
    # It answers at once, before the server has.
    held = []
    page.route("**/v1/jobs/*", lambda route: held.append(route))
    page.click("#cancel")
    expect(page.locator("#working")).to_be_hidden()
    wait_for(lambda: page.evaluate("true") and held, "the request")
    held[0].continue_()
    page.unroute("**/v1/jobs/*")
    # A job goes on while the page is closed.
    page.fill("#steps", "30")
    page.click("#make")
    expect(page.locator("#preview")).to_be_visible()
    page.reload()
    expect(page.locator("#gallery li")).to_have_count(1)


def test_adding_a_lora(page):
    page.fill("#prompt", "an owl")
    assert page.locator("#lora option").all_inner_texts() == ["choose …", "night"]
    page.select_option("#lora", "night")
    expect(page.locator("#prompt")).to_have_value("an owl <lora:night:1>")
    # Once is enough, and its tag is no word of the prompt.
    page.select_option("#lora", "night")
    expect(page.locator("#prompt")).to_have_value("an owl <lora:night:1>")
    counted = page.locator("#prompt-count").inner_text
    wait_for(lambda: page.evaluate("true") and counted().startswith("3 / "), "the count")
    make(page, "an owl <lora:night:1>", seed=6)
    assert "<lora:night:1>" in page.locator("#settings").inner_text()
    page.fill("#prompt", "an owl <lora:none:1>")
    page.click("#make")
    expect(page.locator("#error")).to_contain_text("prompt names the LoRA \"none\", and there is \"night\"")


def test_a_second_pass(page):
    expect(page.locator("#larger-more")).to_be_hidden()
    page.fill("#hires", "1.5")
    expect(page.locator("#larger-note")).to_have_text("The picture will have 96×96 pixels.")
    page.select_option("#hires_upscaler", "nearest")
    page.fill("#hires_strength", "0.5")
    make(page, "a fox", seed=5, hires_steps=3)
    assert page.evaluate("document.querySelector('#picture').naturalWidth") == 96
    assert "Hires upscale: 1.5, Hires steps: 3, Hires upscaler: Nearest" in page.locator("#settings").inner_text()
    shoot(page, "larger")
    # It outlasts the page, and comes back with a picture's settings.
    page.reload()
    expect(page.locator("#hires")).to_have_value("1.5")
    page.fill("#hires_steps", "")
    page.fill("#hires", "")
    page.click("#restore")
    expect(page.locator("#hires")).to_have_value("1.5")
    expect(page.locator("#hires_upscaler")).to_have_value("nearest")
    expect(page.locator("#hires_steps")).to_have_value("3")
    # What it has of its own.
    page.click("#larger-own summary")
    page.fill("#hires_prompt", "an owl, at night")
    page.fill("#hires_negative_prompt", "gray")
    page.select_option("#hires_scheduler", "euler")
    page.fill("#hires_cfg_scale", "3.5")
    make(page, "a fox", seed=5)
    text = page.locator("#settings").inner_text()
    assert 'Hires prompt: "an owl, at night"' in text and "Hires negative prompt: gray" in text and "Hires CFG Scale: 3.5" in text
    assert "Hires sampler: Euler" in text
    shoot(page, "larger-own")
    page.reload()
    expect(page.locator("#hires_prompt")).to_have_value("an owl, at night")
    expect(page.locator("#hires_prompt")).to_be_visible()
    for name in ["hires_prompt", "hires_negative_prompt", "hires_cfg_scale"]:
        page.fill(f"#{name}", "")
    page.select_option("#hires_scheduler", "")
    page.click("#restore")
    for name, value in [("hires_prompt", "an owl, at night"), ("hires_negative_prompt", "gray"), ("hires_scheduler", "euler"), ("hires_cfg_scale", "3.5")]:
        expect(page.locator(f"#{name}")).to_have_value(value)
    # A field that is wrong is shown where it is folded.
    page.fill("#hires_cfg_scale", "101")
    page.click("#larger-own summary")
    page.click("#make")
    expect(page.locator("#error")).to_contain_text("hires_cfg_scale is 101")
    expect(page.locator("#hires_cfg_scale")).to_be_focused()
    page.fill("#hires_cfg_scale", "")
    page.fill("#hires", "17")
    page.click("#make")
    expect(page.locator("#error")).to_contain_text("hires is 17, expected a number from 1 to 16")
    expect(page.locator("#hires")).to_have_attribute("aria-invalid", "true")
    # Over a picture there is none.
    page.click("#to-start")
    expect(page.locator("#hires")).to_be_disabled()
    make(page, "an owl", seed=6)
    assert "Hires" not in page.locator("#settings").inner_text()
    page.click("#remove")
    expect(page.locator("#hires")).to_be_enabled()


def test_sizes_and_errors(page):
    page.fill("#width", "128")
    page.click("#swap")
    expect(page.locator("#height")).to_have_value("128")
    page.select_option("#preset", index=1)
    expect(page.locator("#width")).to_have_value("64")
    page.fill("#width", "63")
    page.fill("#prompt", "a fox")
    page.click("#make")
    expect(page.locator("#error")).to_contain_text("width is 63, expected a multiple of 16")
    expect(page.locator("#width")).to_have_attribute("aria-invalid", "true")
    page.fill("#prompt", "(" * 600)
    page.fill("#width", "64")
    expect(page.locator("#prompt-count")).not_to_be_empty()


def drop(page, target, content):
    data = page.evaluate_handle(
        "async (bytes) => { const data = new DataTransfer(); data.items.add(new File([new Uint8Array(bytes)], 'a.png', {type: 'image/png'})); return data; }",
        list(content))
    page.dispatch_event(target, "drop", {"dataTransfer": data})


def test_dropping_a_picture_restores_its_settings(page):
    make(page, "a fox", seed=17, cfg_scale=4.5)
    content = bytes(page.evaluate("""async () => {
        const [newest] = await (await import('/gallery.js')).all();
        return [...new Uint8Array(await newest.blob.arrayBuffer())];
    }"""))
    page.fill("#prompt", "something else")
    page.fill("#seed", "1")
    drop(page, "#stage", content)
    expect(page.locator("#prompt")).to_have_value("a fox")
    expect(page.locator("#seed")).to_have_value("17")
    expect(page.locator("#cfg_scale")).to_have_value("4.5")
    # Another program's, too.
    text = PngInfo()
    text.add_text("parameters", """an owl, <lora:night:0.5>
Negative prompt: gray
Steps: 9, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 3, Size: 64x96, Denoising strength: 0.4, Hires upscale: 1.5, \
Hires steps: 4, Hires upscaler: Latent (nearest-exact), Hires prompt: "a red, red owl", Version: v1.10.1""")
    foreign = io.BytesIO()
    Image.new("RGB", (64, 64)).save(foreign, "PNG", pnginfo=text)
    drop(page, "#stage", foreign.getvalue())
    for name, value in {"prompt": "an owl, <lora:night:0.5>", "negative_prompt": "gray", "steps": "9", "scheduler": "DPM++ 2M Karras", "cfg_scale": "6.5",
                        "seed": "3", "width": "64", "height": "96", "hires": "1.5", "hires_strength": "0.4", "hires_steps": "4",
                        "hires_upscaler": "latent-nearest-exact", "hires_prompt": "a red, red owl"}.items():
        expect(page.locator(f"#{name}")).to_have_value(value)
    # A picture without settings is one to start from.
    plain = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 9)).save(plain, "PNG")
    drop(page, "#stage", plain.getvalue())
    expect(page.locator("#start")).to_be_visible()


def test_repainting_a_part(page):
    make(page, "a red apple on a blue background", seed=5)
    page.click("#to-mask")
    expect(page.locator("#mask-tools")).to_be_visible()
    page.click("#make")
    expect(page.locator("#error")).to_contain_text("Nothing is painted over")
    page.locator("#canvas").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 30, box["y"] + box["height"] / 2)
    page.mouse.up()
    shoot(page, "mask")
    page.fill("#strength", "1")
    make(page, "a yellow face", seed=6)
    first = page.evaluate("document.querySelector('#settings').textContent")
    assert "Mask:" in first
    # By the keys alone.
    page.click("#clear")
    page.focus("#canvas-box")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    make(page, "a yellow face", seed=7)
    page.click("#undo")
    page.click("#make")
    expect(page.locator("#error")).to_contain_text("Nothing is painted over")
    page.click("#remove")
    expect(page.locator("#drop")).to_be_visible()


def test_a_phone_and_the_dark(own, browser):
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, color_scheme="dark")
    page = context.new_page()
    page.goto(own.url)
    page.wait_for_selector("#model option", state="attached")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    make(page, "a sunflower", seed=3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    shoot(page, "phone")
    # What ends it is in sight while a picture is made.
    page.fill("#width", "512")
    page.fill("#height", "512")
    page.fill("#steps", "100")
    page.click("#make")
    expect(page.locator("#cancel")).to_be_in_viewport()
    page.focus("#cancel")
    page.keyboard.press("Enter")
    expect(page.locator("#working")).to_be_hidden()
    expect(page.locator("#make")).to_be_focused()
    page.locator("#picture").scroll_into_view_if_needed()
    shoot(page, "phone-picture")
    small = page.evaluate("[...document.querySelectorAll('button, a.button')].filter((b) => b.offsetHeight && b.offsetHeight < 36 && b.id !== 'theme').map((b) => b.id)")
    assert small == []
    context.close()


def test_it_is_accessible(page):
    make(page, "a fox", seed=1)
    page.fill("#hires", "2")
    for theme in ["light", "dark"]:
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        assert Axe().run(page).response["violations"] == [], theme
    page.click("#to-mask")
    page.evaluate("document.querySelector('#access').open = true")
    for theme in ["light", "dark"]:
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        found = Axe().run(page).response["violations"]
        assert [(it["id"], it["impact"], [node["html"] for node in it["nodes"]]) for it in found] == [], theme
    # The whole form can be reached by Tab, and the focus is seen.
    page.focus("#prompt")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
        assert page.evaluate("document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none' || document.activeElement.type === 'file' || document.activeElement.id === 'stage'")
    assert {"make", "model", "scheduler", "steps", "seed", "random", "swap", "strength", "brush", "eraser", "canvas-box", "restore", "download"} <= reached
    assert page.evaluate("document.querySelectorAll('h1').length") == 1
    shoot(page, "dark")
