// A picture to start from, with a mask that is painted over it.

/** The editor over a canvas; `box` scrolls it and takes the keys. */
export class MaskEditor {
  constructor(canvas, box) {
    this.canvas = canvas;
    this.box = box;
    this.mask = document.createElement("canvas");
    this.strokes = [];
    this.brush = 20;
    this.erases = false;
    this.isOn = false;
    this.cursor = null;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (this.stroke = null));
    box.addEventListener("keydown", (event) => this.key(event));
  }

  /** Takes a picture, without a mask. */
  setImage(image) {
    this.image = image;
    for (const canvas of [this.canvas, this.mask]) [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    this.brush = Math.max(Math.round(Math.max(image.naturalWidth, image.naturalHeight) / 8), 1);
    this.cursor = { x: image.naturalWidth / 2, y: image.naturalHeight / 2 };
    this.clear();
  }

  setOn(isOn) {
    this.isOn = isOn;
    this.canvas.classList.toggle("masking", isOn);
    this.draw();
  }

  setZoom(zoom) {
    this.canvas.style.width = `${100 * zoom}%`;
  }

  clear() {
    this.strokes = [];
    this.draw();
  }

  undo() {
    this.strokes.pop();
    this.draw();
  }

  get isEmpty() {
    return !this.strokes.some((stroke) => !stroke.erases);
  }

  place(event) {
    const area = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - area.left) / area.width) * this.canvas.width,
      y: ((event.clientY - area.top) / area.height) * this.canvas.height,
    };
  }

  down(event) {
    if (!this.isOn || event.button > 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.begin(this.place(event));
  }

  begin(point) {
    this.stroke = { size: this.brush, erases: this.erases, points: [point] };
    this.strokes.push(this.stroke);
    this.draw();
  }

  move(event) {
    if (!this.stroke) return;
    this.stroke.points.push(this.place(event));
    this.draw();
  }

  /** Arrows move the brush, the space bar paints. */
  key(event) {
    if (!this.isOn || !this.cursor) return;
    const step = Math.max(this.brush / 2, 1);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) {
      this.cursor.x = Math.min(Math.max(this.cursor.x + moves[event.key][0], 0), this.canvas.width);
      this.cursor.y = Math.min(Math.max(this.cursor.y + moves[event.key][1], 0), this.canvas.height);
      this.showsCursor = true;
    } else if (event.key === " ") {
      this.begin({ ...this.cursor });
      this.stroke = null;
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }

  paint(context) {
    context.lineCap = context.lineJoin = "round";
    for (const { size, erases, points } of this.strokes) {
      context.globalCompositeOperation = erases ? "destination-out" : "source-over";
      context.strokeStyle = context.fillStyle = "white";
      context.lineWidth = size;
      context.beginPath();
      context.arc(points[0].x, points[0].y, size / 2, 0, 7);
      context.fill();
      context.beginPath();
      context.moveTo(points[0].x, points[0].y);
      for (const { x, y } of points) context.lineTo(x, y);
      context.stroke();
    }
    context.globalCompositeOperation = "source-over";
  }

  draw() {
    if (!this.image) return;
    const { canvas, mask } = this;
    const over = mask.getContext("2d");
    over.clearRect(0, 0, mask.width, mask.height);
    this.paint(over);
    const context = canvas.getContext("2d");
    context.drawImage(this.image, 0, 0);
    if (!this.isOn) return;
    context.globalAlpha = 0.65;
    context.drawImage(mask, 0, 0);
    context.globalAlpha = 1;
    if (this.showsCursor) {
      context.strokeStyle = "red";
      context.lineWidth = Math.max(canvas.width / 200, 1);
      context.beginPath();
      context.arc(this.cursor.x, this.cursor.y, this.brush / 2, 0, 7);
      context.stroke();
    }
  }

  /** The picture as an address of a PNG. */
  get imageAddress() {
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [this.canvas.width, this.canvas.height];
    copy.getContext("2d").drawImage(this.image, 0, 0);
    return copy.toDataURL("image/png");
  }

  /** White where it is to be repainted, on black. */
  get maskAddress() {
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [this.mask.width, this.mask.height];
    const context = copy.getContext("2d");
    context.fillStyle = "black";
    context.fillRect(0, 0, copy.width, copy.height);
    context.drawImage(this.mask, 0, 0);
    return copy.toDataURL("image/png");
  }
}
