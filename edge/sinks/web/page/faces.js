// A card for each face: its label, and a bar for each probability. A card stays in place as long as its face is there.
export class FaceCards {
  #container;
  #palette;
  #cards = new Map(); // track_id -> elements of its card

  constructor(container, palette) {
    this.#container = container;
    this.#palette = palette;
  }

  show(faces) {
    const present = new Set(faces.map((face) => face.track_id));
    for (const [trackId, card] of this.#cards) {
      if (present.has(trackId)) continue;
      card.root.remove();
      this.#cards.delete(trackId);
    }
    for (const face of [...faces].sort((a, b) => a.track_id - b.track_id)) this.#update(face);
  }

  #update(face) {
    let card = this.#cards.get(face.track_id);
    if (!card) {
      card = makeCard(face, this.#palette);
      this.#cards.set(face.track_id, card);
      this.#container.append(card.root);
    }
    const strongest = Object.keys(face.probabilities).reduce((a, b) =>
      face.probabilities[b] > face.probabilities[a] ? b : a,
    );
    card.emotion.textContent = face.label ?? "uncertain";
    card.confidence.textContent = face.label ? percent(face.confidence) : `${strongest} ${percent(face.confidence)}`;
    for (const [label, bar] of card.bars) {
      const probability = face.probabilities[label] ?? 0;
      bar.fill.style.width = `${(probability * 100).toFixed(1)}%`;
      bar.value.textContent = percent(probability);
      bar.name.classList.toggle("strongest", label === strongest);
      bar.value.classList.toggle("strongest", label === strongest);
    }
  }
}

export const percent = (probability) => `${Math.round(probability * 100)}%`;

function makeCard(face, palette) {
  const root = element("article", "face");
  const name = element("h3", "name", `Face ${face.track_id}`);
  const headline = element("p", "emotion");
  const emotion = element("span");
  const confidence = element("small");
  headline.append(emotion, confidence);
  const list = element("dl", "bars");
  const labels = Object.keys(face.probabilities);
  const bars = new Map(labels.map((label) => [label, makeBar(list, label, palette.hue(label))]));
  root.append(name, headline, list);
  return { root, emotion, confidence, bars };
}

function makeBar(list, label, hue) {
  const name = element("dt", "", label);
  const track = element("dd", "track");
  const fill = element("span", "fill color");
  const value = element("dd");
  fill.style.setProperty("--hue", hue);
  name.title = label;
  track.setAttribute("aria-hidden", "true");
  track.append(fill);
  list.append(name, track, value);
  return { name, fill, value };
}

function element(tag, className = "", text = "") {
  const created = document.createElement(tag);
  if (className) created.className = className;
  created.textContent = text;
  return created;
}
