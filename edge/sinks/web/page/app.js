// Joins the page's parts: tabs, the stream of events, and what is drawn of it.
import { Faces } from "./faces.js";
import { showHealth } from "./health.js";
import { Palette } from "./palette.js";
import { offerPhotos } from "./photo.js";
import { Timeline } from "./timeline.js";

const IMAGE_RETRY = 3000; // ms
const SPOKEN_EVERY = 4000; // ms: a reader of screens must be able to follow

const at = (id) => document.getElementById(id);
const palette = new Palette();
const faces = new Faces(at("faces"), palette);
const timeline = new Timeline(at("timeline"), at("legend"), at("timeline-words"), palette);
let spoken = 0;
let begun = false;

chooseTabs();
listen();

function listen() {
  const events = new EventSource("api/events");
  const on = (name, work) => events.addEventListener(name, (event) => work(JSON.parse(event.data)));
  on("hello", greet);
  on("reading", (reading) => {
    showReading(reading);
    showState("good", "live");
  });
  on("point", (point) => timeline.add(point));
  on("health", takeHealth);
  events.onerror = () => {
    showState("bad", "no connection");
    if (events.readyState === EventSource.CLOSED) explain(events);
  };
}

// The browser does not try again by itself after an answer that is no stream.
async function explain() {
  const answer = await fetch("api/reading").catch(() => null);
  if (answer?.status === 401) location.assign("login");
  else {
    if (answer?.ok) showState("bad", "too many are looking");
    setTimeout(listen, 5000);
  }
}

function greet(about) {
  palette.of(about.labels);
  timeline.begin(about.points);
  at("tabs").hidden = !about.photo;
  at("logout").hidden = !about.token;
  at("image").hidden = !about.image;
  if (about.image) showImage();
  if (about.photo && !begun) offerPhotos(palette);
  begun = true;
  takeHealth(about.health);
  showReading(about);
}

function showReading(reading) {
  faces.show(reading.faces);
  timeline.now(reading.second);
  const empty = at("nobody");
  empty.hidden = reading.faces.length > 0;
  empty.textContent = reading.frame === null ? "Waiting for the first frame" : "Nobody is there";
  speak(reading.faces);
}

function speak(present) {
  const words = present.map((face) => `Face ${face.id}: ${face.label ?? "uncertain"}`).join(", ") || "Nobody is there";
  if (words === at("spoken").textContent || Date.now() - spoken < SPOKEN_EVERY) return;
  spoken = Date.now();
  at("spoken").textContent = words;
}

function takeHealth(health) {
  showHealth(at("health"), health);
  if (health.fresh) showState("good", "live");
  else showState("bad", health.since_frame_seconds === null ? "no frame yet" : "no frames");
}

function showState(kind, words) {
  const state = at("state");
  state.className = `state ${kind}`;
  if (state.textContent !== words) state.textContent = words;
}

function showImage() {
  const image = at("camera");
  image.onerror = () => setTimeout(showImage, IMAGE_RETRY);
  image.src = `api/image?${Date.now()}`; // or else the browser shows the stream that has ended
}

function chooseTabs() {
  const tabs = [at("tab-live"), at("tab-try")];
  const choose = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      at(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
    timeline.draw();
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = tabs.find((each) => each !== tab && !each.hidden);
      other?.focus();
      other?.click();
    });
  }
}
