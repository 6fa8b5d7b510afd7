// A color for each of the model's labels, however many there are, equally light and as far apart as can be. Where
// style.css paints it, it is a hue, so that it changes with day and night; on a canvas it is a color.
const FIRST = 25; // degrees of hue
const STEP = 0.382; // of the circle: neighbors in a list are far apart, and no two of many are the same

export const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Palette {
  #labels = [];

  of(labels) {
    this.#labels = labels;
  }

  get labels() {
    return this.#labels;
  }

  hue(label) {
    return (FIRST + this.#turn(this.#labels.indexOf(label))).toFixed(1);
  }

  color(label) {
    return `oklch(${style("--label-lightness")} 0.15 ${this.hue(label)})`;
  }

  #turn(place) {
    const many = this.#labels.length;
    const spread = Math.max(1, Math.round(many * STEP));
    const apart = greatestCommonDivisor(many, spread) === 1 ? (place * spread) % many : place;
    return (apart * 360) / many;
  }
}

function greatestCommonDivisor(a, b) {
  return b ? greatestCommonDivisor(b, a % b) : a;
}
