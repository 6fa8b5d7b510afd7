// A photo that the visitor tries: made small here, read on the device, drawn here. Where it was taken stays here, too:
// what is sent is a new image without the photo's notes.
import { Faces, percent } from "./faces.js";

const SIDE = 1280; // pixels: the device reads no more
const QUALITY = 0.92;

const at = (id) => document.getElementById(id);
let turn = 0;

export function offerPhotos(palette) {
  const faces = new Faces(at("photo-faces"), palette);
  const take = (file) => file && tryPhoto(file, faces, palette);
  for (const input of [at("file"), at("shot")]) {
    input.addEventListener("change", () => {
      take(input.files[0]);
      input.value = ""; // so that the same one can be chosen again
    });
  }
  const drop = at("drop");
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files[0]);
    });
  }
}

async function tryPhoto(file, faces, palette) {
  const mine = ++turn;
  say("Reading it ...");
  at("result").hidden = true;
  try {
    const canvas = await drawn(file);
    const reading = await sent(canvas);
    if (mine !== turn) return; // another one was chosen since
    mark(canvas, reading, palette);
    faces.show([]);
    faces.show(reading.faces);
    at("result").hidden = false;
    const many = reading.faces.length;
    say(many === 0 ? "No face was found." : many === 1 ? "One face." : `${many} faces.`);
  } catch (error) {
    if (mine === turn) say(error.message, true);
  }
}

// Draws the photo, upright, and returns the canvas.
async function drawn(file) {
  const image = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new Error("This browser cannot open that file as an image.");
  });
  const scale = Math.min(1, SIDE / Math.max(image.width, image.height));
  const canvas = at("photo");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  return canvas;
}

async function sent(canvas) {
  const body = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  const answer = await fetch("api/photo", { method: "POST", body, headers: { "Content-Type": "image/jpeg" } }).catch(() => {
    throw new Error("The device does not answer.");
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

function mark(canvas, reading, palette) {
  const paint = canvas.getContext("2d");
  const scale = canvas.width / reading.width;
  const unit = Math.max(canvas.width, canvas.height) / 640;
  for (const face of reading.faces) {
    const [x, y, width, height] = face.box.map((side) => side * scale);
    const color = face.label ? palette.color(face.label) : "#bbb";
    paint.lineWidth = 3 * unit;
    paint.strokeStyle = color;
    paint.strokeRect(x, y, width, height);
    plate(paint, `${face.id}  ${face.label ?? "uncertain"} ${percent(face.confidence)}`, x, y, unit, color);
  }
}

function plate(paint, words, x, y, unit, color) {
  paint.font = `600 ${16 * unit}px system-ui, sans-serif`;
  const width = paint.measureText(words).width + 12 * unit;
  const left = Math.max(0, Math.min(x - 1.5 * unit, paint.canvas.width - width));
  const bottom = Math.max(y, 24 * unit);
  paint.fillStyle = color;
  paint.fillRect(left, bottom - 24 * unit, width, 24 * unit);
  paint.fillStyle = "#10141c";
  paint.fillText(words, left + 6 * unit, bottom - 7 * unit);
}

function say(words, bad = false) {
  at("outcome").textContent = words;
  at("outcome").classList.toggle("bad", bad);
}
