// A color for each label of the model, whatever their number: equal lightness, hues as different as possible. In CSS a
// label has a hue, so that it follows the color scheme; on a canvas it has a color.
const FIRST_HUE_DEGREES = 25;
const STEP = 0.382; // of the circle, the golden angle: neighbors in the list get different hues, and no two the same one

export const cssValue = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Palette {
  #labels = [];

  setLabels(labels) {
    this.#labels = labels;
  }

  get labels() {
    return this.#labels;
  }

  hue(label) {
    const count = this.#labels.length;
    const step = Math.max(1, Math.round(count * STEP));
    const index = this.#labels.indexOf(label);
    const place = greatestCommonDivisor(count, step) === 1 ? (index * step) % count : index;
    return (FIRST_HUE_DEGREES + (place * 360) / count).toFixed(1);
  }

  color(label) {
    return `oklch(${cssValue("--label-lightness")} 0.15 ${this.hue(label)})`;
  }
}

function greatestCommonDivisor(a, b) {
  return b ? greatestCommonDivisor(b, a % b) : a;
}
