// The health of the run and of the device, as names and values. What the board does not report is left out.
const HOT_CELSIUS = 80; // where a Raspberry Pi begins to throttle

export function showHealth(list, health) {
  list.replaceChildren();
  const add = (...figure) => list.append(makeFigure(...figure));
  add("Camera", health.camera_fps, "frames/s");
  add("Processed", health.process_fps, "frames/s");
  add("Skipped", health.skipped_fps, "frames/s");
  if (health.latency_ms !== null) add("Latency", health.latency_ms, "ms");
  if (health.temperature_c !== null) add("Temperature", health.temperature_c, "°C", health.temperature_c >= HOT_CELSIUS);
  if (health.throttling !== null) add("Power", ...throttlingFigure(health.throttling));
  if (health.resident_mb !== null) add("Memory", Math.round(health.resident_mb), "MB");
  if (health.uptime_seconds !== null) add("Uptime", duration(health.uptime_seconds));
  if (health.model) list.append(makeFigure("Model", health.model, "", false, "wide"));
  if (health.version) add("Version", health.version);
}

function makeFigure(name, value, unit = "", bad = false, className = "") {
  const title = document.createElement("dt");
  const figure = document.createElement("dd");
  const small = document.createElement("small");
  const group = document.createElement("div");
  title.textContent = name;
  small.textContent = unit;
  figure.append(`${value} `, small);
  figure.classList.toggle("bad", bad);
  group.className = className;
  group.append(title, figure);
  return group;
}

function throttlingFigure(throttling) {
  const past = throttling.since_boot.length ? `since boot: ${throttling.since_boot.join(", ")}` : "";
  return throttling.now.length ? [throttling.now.join(", "), past, true] : ["good", past, false];
}

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${Math.round(seconds)} s`;
}
