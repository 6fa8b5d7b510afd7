// The device's figures, as words and numbers. What the board cannot tell is left out.
export function showHealth(list, health) {
  list.replaceChildren();
  const add = (...figure) => list.append(pair(...figure));
  add("Camera", health.camera_fps, "frames/s");
  add("Read", health.process_fps, "frames/s");
  add("Skipped", health.skipped_fps, "frames/s");
  if (health.age_ms !== null) add("Age at the label", health.age_ms, "ms");
  if (health.temperature_c !== null) add("Temperature", health.temperature_c, "°C", health.temperature_c >= 80);
  if (health.throttling !== null) add("Power", ...power(health.throttling));
  if (health.resident_mb !== null) add("Memory", Math.round(health.resident_mb), "MB");
  if (health.uptime_seconds !== null) add("Running for", span(health.uptime_seconds));
  if (health.model) list.append(pair("Model", health.model, "", false, "words"));
  if (health.version) add("Version", health.version);
}

function pair(name, value, unit = "", bad = false, className = "") {
  const title = document.createElement("dt");
  const figure = document.createElement("dd");
  const small = document.createElement("small");
  const made = document.createElement("div");
  title.textContent = name;
  small.textContent = unit;
  figure.append(`${value} `, small);
  figure.classList.toggle("bad", bad);
  made.className = className;
  made.append(title, figure);
  return made;
}

function power(throttling) {
  const past = throttling.since_boot.length ? `since boot: ${throttling.since_boot.join(", ")}` : "";
  return throttling.now.length ? [throttling.now.join(", "), past, true] : ["good", past, false];
}

function span(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${Math.round(seconds)} s`;
}
