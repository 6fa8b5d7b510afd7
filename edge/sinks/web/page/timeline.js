// The mean shares of the last minutes, one column a second, stacked in the order of the labels.
import { percent } from "./faces.js";
import { style } from "./palette.js";

const SECONDS = 300;
const AXIS = 22; // CSS pixels below the columns

export class Timeline {
  #canvas;
  #legend;
  #words;
  #palette;
  #points = new Map(); // second -> point
  #now = 0;

  constructor(canvas, legend, words, palette) {
    this.#canvas = canvas;
    this.#legend = legend;
    this.#words = words;
    this.#palette = palette;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  begin(points) {
    this.#points = new Map(points.map((point) => [point.second, point]));
    this.#explain();
  }

  add(point) {
    this.#points.set(point.second, point);
    for (const second of this.#points.keys()) if (second < point.second - SECONDS) this.#points.delete(second);
    this.draw();
  }

  now(second) {
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
    const paint = this.#canvas.getContext("2d");
    paint.scale(scale, scale);
    this.#axis(paint, width, height);
    this.#ground(paint, width, height - AXIS);
    this.#columns(paint, width, height - AXIS);
    this.#tell();
  }

  #ground(paint, width, height) {
    paint.fillStyle = style("--track");
    paint.beginPath();
    paint.roundRect(0, 0, width, height, 8);
    paint.fill();
    paint.clip();
  }

  #columns(paint, width, height) {
    const wide = width / SECONDS;
    const colors = this.#palette.labels.map((label) => this.#palette.color(label));
    for (const { second, shares } of this.#points.values()) {
      if (!shares) continue;
      const x = width - (this.#now - second) * wide;
      let y = height;
      shares.forEach((share, place) => {
        paint.fillStyle = colors[place];
        paint.fillRect(x, y - share * height, wide + 0.5, share * height + 0.5);
        y -= share * height;
      });
    }
  }

  #axis(paint, width, height) {
    paint.fillStyle = style("--quiet");
    paint.font = "12px system-ui, sans-serif";
    for (let minute = 0; minute <= SECONDS / 60; minute += 1) {
      const x = width - (minute * 60 * width) / SECONDS;
      const first = minute === SECONDS / 60;
      paint.textAlign = first ? "left" : minute ? "center" : "right";
      paint.fillText(minute ? `${minute} min` : "now", x, height - 5);
    }
  }

  // For who cannot see it.
  #tell() {
    const seen = [...this.#points.values()].filter((point) => point.shares);
    const mean = this.#palette.labels.map((label, place) => [
      label,
      seen.reduce((sum, point) => sum + point.shares[place], 0) / Math.max(1, seen.length),
    ]);
    mean.sort((a, b) => b[1] - a[1]);
    const words = mean.map(([label, share]) => `${label} ${percent(share)}`).join(", ");
    this.#words.textContent = seen.length ? `Somebody was there for ${seen.length} s; mean: ${words}` : "Nobody was there";
  }

  #explain() {
    this.#legend.replaceChildren(
      ...this.#palette.labels.map((label) => {
        const item = document.createElement("li");
        const mark = document.createElement("i");
        mark.className = "color";
        mark.style.setProperty("--hue", this.#palette.hue(label));
        item.append(mark, label);
        return item;
      }),
    );
    this.draw();
  }
}
