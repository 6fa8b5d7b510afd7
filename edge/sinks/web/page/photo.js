// Uploads a photo of the visitor and shows the result. The photo is downscaled and encoded anew here, so that its
// metadata (place, time, device) does not leave the browser.
import { FaceCards, percent } from "./faces.js";

const MAX_SIDE_PIXELS = 1280; // of what the device analyzes
const JPEG_QUALITY = 0.92;

const byId = (id) => document.getElementById(id);
let lastUpload = 0;

export function enablePhotoUpload(palette) {
  const faceCards = new FaceCards(byId("photo-faces"), palette);
  const upload = (file) => file && analyzePhoto(file, faceCards, palette);
  for (const input of [byId("file"), byId("shot")]) {
    input.addEventListener("change", () => {
      upload(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  const dropArea = byId("drop");
  for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
    dropArea.addEventListener(type, (event) => {
      event.preventDefault();
      dropArea.classList.toggle("over", type === "dragenter" || type === "dragover");
      if (type === "drop") upload(event.dataTransfer.files[0]);
    });
  }
}

async function analyzePhoto(file, faceCards, palette) {
  const upload = ++lastUpload;
  showMessage("Analyzing ...");
  byId("result").hidden = true;
  try {
    const canvas = await drawPhoto(file);
    const result = await requestAnalysis(canvas);
    if (upload !== lastUpload) return; // another photo was chosen meanwhile
    drawFaces(canvas, result, palette);
    faceCards.show([]);
    faceCards.show(result.faces);
    byId("result").hidden = false;
    const count = result.faces.length;
    showMessage(count === 0 ? "No face found." : count === 1 ? "One face." : `${count} faces.`);
  } catch (error) {
    if (upload === lastUpload) showMessage(error.message, true);
  }
}

// Returns the canvas with the photo, upright.
async function drawPhoto(file) {
  const image = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new Error("This browser cannot open the file as an image.");
  });
  const scale = Math.min(1, MAX_SIDE_PIXELS / Math.max(image.width, image.height));
  const canvas = byId("photo");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  return canvas;
}

async function requestAnalysis(canvas) {
  const body = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
  const request = { method: "POST", body, headers: { "Content-Type": "image/jpeg" } };
  const response = await fetch("api/analyze", request).catch(() => {
    throw new Error("The device does not respond.");
  });
  const content = await response.json();
  if (!response.ok) throw new Error(content.error);
  return content;
}

function drawFaces(canvas, result, palette) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / result.width;
  const unit = Math.max(canvas.width, canvas.height) / 640;
  for (const face of result.faces) {
    const [x, y, width, height] = face.box.map((side) => side * scale);
    const color = face.label ? palette.color(face.label) : "#bbb";
    context.lineWidth = 3 * unit;
    context.strokeStyle = color;
    context.strokeRect(x, y, width, height);
    drawLabel(context, `${face.track_id}  ${face.label ?? "uncertain"} ${percent(face.confidence)}`, x, y, unit, color);
  }
}

function drawLabel(context, text, x, y, unit, color) {
  context.font = `600 ${16 * unit}px system-ui, sans-serif`;
  const width = context.measureText(text).width + 12 * unit;
  const left = Math.max(0, Math.min(x - 1.5 * unit, context.canvas.width - width));
  const bottom = Math.max(y, 24 * unit);
  context.fillStyle = color;
  context.fillRect(left, bottom - 24 * unit, width, 24 * unit);
  context.fillStyle = "#10141c";
  context.fillText(text, left + 6 * unit, bottom - 7 * unit);
}

function showMessage(text, bad = false) {
  byId("message").textContent = text;
  byId("message").classList.toggle("bad", bad);
}
