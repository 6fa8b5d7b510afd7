// Connects the parts of the page: tabs, the event stream, and the views of it.
import { FaceCards } from "./faces.js";
import { showHealth } from "./health.js";
import { Palette } from "./palette.js";
import { enablePhotoUpload } from "./photo.js";
import { Timeline } from "./timeline.js";

const IMAGE_RETRY_MS = 3000;
const RECONNECT_MS = 5000;
const ANNOUNCE_INTERVAL_MS = 4000; // a screen reader must be able to follow

const byId = (id) => document.getElementById(id);
const palette = new Palette();
const faceCards = new FaceCards(byId("faces"), palette);
const timeline = new Timeline(byId("timeline"), byId("legend"), byId("timeline-summary"), palette);
let announcedAt = 0;
let uploadEnabled = false;

setUpTabs();
connect();

function connect() {
  const events = new EventSource("api/events");
  const on = (name, handle) => events.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  on("init", initialize);
  on("result", (result) => {
    showResult(result);
    showStatus("good", "live");
  });
  on("timeline", (point) => timeline.add(point));
  on("health", updateHealth);
  events.onerror = () => {
    showStatus("bad", "no connection");
    if (events.readyState === EventSource.CLOSED) reconnect();
  };
}

// The browser reconnects by itself, but not after a response that is not an event stream.
async function reconnect() {
  const response = await fetch("api/result").catch(() => null);
  if (response?.status === 401) location.assign("login");
  else {
    if (response?.ok) showStatus("bad", "too many clients");
    setTimeout(connect, RECONNECT_MS);
  }
}

function initialize(init) {
  palette.setLabels(init.labels);
  timeline.initialize(init.timeline);
  byId("tabs").hidden = !init.photo;
  byId("logout").hidden = !init.token;
  byId("image").hidden = !init.image;
  if (init.image) showImage();
  if (init.photo && !uploadEnabled) enablePhotoUpload(palette);
  uploadEnabled = init.photo;
  updateHealth(init.health);
  showResult(init);
}

function showResult(result) {
  faceCards.show(result.faces);
  timeline.setNow(result.second);
  const noFaces = byId("no-faces");
  noFaces.hidden = result.faces.length > 0;
  noFaces.textContent = result.frame === null ? "Waiting for the first frame" : "No face";
  announce(result.faces);
}

function announce(faces) {
  const text = faces.map((face) => `Face ${face.track_id}: ${face.label ?? "uncertain"}`).join(", ") || "No face";
  if (text === byId("announcement").textContent || Date.now() - announcedAt < ANNOUNCE_INTERVAL_MS) return;
  announcedAt = Date.now();
  byId("announcement").textContent = text;
}

function updateHealth(health) {
  showHealth(byId("health"), health);
  if (health.receiving_frames) showStatus("good", "live");
  else showStatus("bad", health.last_frame_age_seconds === null ? "no frame yet" : "no frames");
}

function showStatus(kind, text) {
  const status = byId("status");
  status.className = `status ${kind}`;
  if (status.textContent !== text) status.textContent = text;
}

function showImage() {
  const image = byId("camera");
  image.onerror = () => setTimeout(showImage, IMAGE_RETRY_MS);
  image.src = `api/stream.mjpg?${Date.now()}`; // a new URL: otherwise the browser shows the stream that has ended
}

function setUpTabs() {
  const tabs = [byId("tab-live"), byId("tab-photo")];
  const select = (selected) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === selected);
      tab.tabIndex = tab === selected ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = tab !== selected;
    }
    timeline.draw();
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = tabs.find((each) => each !== tab && !each.hidden);
      other?.focus();
      other?.click();
    });
  }
}
