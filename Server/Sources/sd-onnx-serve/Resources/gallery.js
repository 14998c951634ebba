// The pictures that were made, kept in this browser.

const most = 300;

function request(it) {
  return new Promise((resolve, reject) => {
    it.onsuccess = () => resolve(it.result);
    it.onerror = () => reject(it.error);
  });
}

let opened;
function database() {
  opened ??= (async () => {
    const opening = indexedDB.open("sd-onnx", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("pictures", { keyPath: "id", autoIncrement: true });
    return request(opening);
  })();
  return opened;
}

async function store(mode) {
  return (await database()).transaction("pictures", mode).objectStore("pictures");
}

/** All pictures, the newest first: `{id, blob, record, parameters}`. */
export async function all() {
  return (await request((await store("readonly")).getAll())).reverse();
}

/** Keeps a picture, and forgets the oldest ones where there are too many. */
export async function add(picture) {
  const id = await request((await store("readwrite")).add(picture));
  const keys = await request((await store("readonly")).getAllKeys());
  for (const key of keys.slice(0, Math.max(keys.length - most, 0))) await remove(key);
  return id;
}

export async function remove(id) {
  await request((await store("readwrite")).delete(id));
}
