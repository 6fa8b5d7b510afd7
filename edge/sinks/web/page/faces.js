// A card for each face: what it shows, and a bar for each label. Cards stay where they are while their face is there.
export class Faces {
  #place;
  #palette;
  #cards = new Map(); // id -> its card's parts

  constructor(place, palette) {
    this.#place = place;
    this.#palette = palette;
  }

  show(faces) {
    const present = new Set(faces.map((face) => face.id));
    for (const [id, card] of this.#cards) {
      if (present.has(id)) continue;
      card.root.remove();
      this.#cards.delete(id);
    }
    for (const face of [...faces].sort((a, b) => a.id - b.id)) this.#fill(this.#card(face), face);
  }

  #card(face) {
    const labels = Object.keys(face.scores);
    let card = this.#cards.get(face.id);
    if (!card) {
      card = makeCard(face, labels, this.#palette);
      this.#cards.set(face.id, card);
      this.#place.append(card.root);
    }
    return card;
  }

  #fill(card, face) {
    const strongest = Object.keys(face.scores).reduce((a, b) => (face.scores[b] > face.scores[a] ? b : a));
    card.emotion.textContent = face.label ?? "uncertain";
    card.confidence.textContent = face.label ? percent(face.confidence) : `${strongest} ${percent(face.confidence)}`;
    for (const [label, bar] of card.bars) {
      const share = face.scores[label] ?? 0;
      bar.fill.style.width = `${(share * 100).toFixed(1)}%`;
      bar.share.textContent = percent(share);
      bar.name.classList.toggle("first", label === strongest);
      bar.share.classList.toggle("first", label === strongest);
    }
  }
}

export const percent = (share) => `${Math.round(share * 100)}%`;

function makeCard(face, labels, palette) {
  const root = element("article", "face");
  const name = element("h3", "name", `Face ${face.id}`);
  const headline = element("p", "emotion");
  const emotion = element("span");
  const confidence = element("small");
  headline.append(emotion, confidence);
  const list = element("dl", "bars");
  const bars = new Map(labels.map((label) => [label, makeBar(list, label, palette.hue(label))]));
  root.append(name, headline, list);
  return { root, emotion, confidence, bars };
}

function makeBar(list, label, hue) {
  const name = element("dt", "", label);
  const track = element("dd", "track");
  const fill = element("span", "fill color");
  const share = element("dd");
  fill.style.setProperty("--hue", hue);
  name.title = label;
  track.setAttribute("aria-hidden", "true");
  track.append(fill);
  list.append(name, track, share);
  return { name, fill, share };
}

function element(kind, className = "", text = "") {
  const made = document.createElement(kind);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
