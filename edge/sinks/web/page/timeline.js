// The mean probabilities of the last minutes: one column a second, stacked in the order of the labels.
import { percent } from "./faces.js";
import { cssValue } from "./palette.js";

const SECONDS = 300;
const AXIS_HEIGHT = 22; // CSS pixels below the columns

export class Timeline {
  #canvas;
  #legend;
  #summary;
  #palette;
  #points = new Map(); // second -> point
  #now = 0; // second

  constructor(canvas, legend, summary, palette) {
    this.#canvas = canvas;
    this.#legend = legend;
    this.#summary = summary;
    this.#palette = palette;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  initialize(points) {
    this.#points = new Map(points.map((point) => [point.second, point]));
    this.#legend.replaceChildren(...this.#palette.labels.map((label) => this.#legendItem(label)));
    this.draw();
  }

  add(point) {
    this.#points.set(point.second, point);
    for (const second of this.#points.keys()) if (second < point.second - SECONDS) this.#points.delete(second);
    this.draw();
  }

  setNow(second) {
    if (second === this.#now) return;
    this.#now = second;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width || !height) return;
    const scale = window.devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    const context = this.#canvas.getContext("2d");
    context.scale(scale, scale);
    this.#drawAxis(context, width, height);
    this.#drawBackground(context, width, height - AXIS_HEIGHT);
    this.#drawColumns(context, width, height - AXIS_HEIGHT);
    this.#summarize();
  }

  // Also clips what is drawn afterwards to its rounded corners.
  #drawBackground(context, width, height) {
    context.fillStyle = cssValue("--track");
    context.beginPath();
    context.roundRect(0, 0, width, height, 8);
    context.fill();
    context.clip();
  }

  #drawColumns(context, width, height) {
    const columnWidth = width / SECONDS;
    const colors = this.#palette.labels.map((label) => [label, this.#palette.color(label)]);
    for (const { second, probabilities } of this.#points.values()) {
      if (!probabilities) continue;
      const x = width - (this.#now - second) * columnWidth;
      let y = height;
      for (const [label, color] of colors) {
        const part = probabilities[label] * height;
        context.fillStyle = color;
        context.fillRect(x, y - part, columnWidth + 0.5, part + 0.5);
        y -= part;
      }
    }
  }

  #drawAxis(context, width, height) {
    context.fillStyle = cssValue("--muted");
    context.font = "12px system-ui, sans-serif";
    for (let minute = 0; minute <= SECONDS / 60; minute += 1) {
      const x = width - (minute * 60 * width) / SECONDS;
      const leftmost = minute === SECONDS / 60;
      context.textAlign = leftmost ? "left" : minute ? "center" : "right";
      context.fillText(minute ? `${minute} min` : "now", x, height - 5);
    }
  }

  // For screen readers.
  #summarize() {
    const points = [...this.#points.values()].filter((point) => point.probabilities);
    const means = this.#palette.labels.map((label) => [
      label,
      points.reduce((sum, point) => sum + point.probabilities[label], 0) / Math.max(1, points.length),
    ]);
    means.sort((a, b) => b[1] - a[1]);
    const text = means.map(([label, mean]) => `${label} ${percent(mean)}`).join(", ");
    this.#summary.textContent = points.length ? `Faces for ${points.length} s; mean: ${text}` : "No faces";
  }

  #legendItem(label) {
    const item = document.createElement("li");
    const swatch = document.createElement("i");
    swatch.className = "color";
    swatch.style.setProperty("--hue", this.#palette.hue(label));
    item.append(swatch, label);
    return item;
  }
}
