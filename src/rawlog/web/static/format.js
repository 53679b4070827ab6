// Times, durations and sizes as `rawlog ls` writes them. Everything is in microseconds and bytes.

const MS = 1000, S = 1e6, MINUTE = 60 * S, HOUR = 3600 * S, DAY = 86400 * S;
const two = (number) => String(Math.floor(number)).padStart(2, "0");

export function duration(us) {
  if (us === null || us === undefined) return "";
  if (us < MS) return `${us} µs`;
  if (us < 9.95 * MS) return `${(us / MS).toFixed(1)} ms`;
  if (us < 999.5 * MS) return `${(us / MS).toFixed(0)} ms`;
  if (us < 9.995 * S) return `${(us / S).toFixed(2)} s`;
  if (us < 99.95 * S) return `${(us / S).toFixed(1)} s`;
  if (us < HOUR) return `${Math.floor(us / MINUTE)}m${two((us % MINUTE) / S)}s`;
  if (us < DAY) return `${Math.floor(us / HOUR)}h${two((us % HOUR) / MINUTE)}m`;
  return `${Math.floor(us / DAY)}d${two((us % DAY) / HOUR)}h`;
}

export function size(bytes) {
  if (bytes < 10000) return String(bytes);
  let number = bytes;
  for (const unit of "kMGTP") {
    number /= 1000;
    if (number < 99.95) return number.toFixed(1) + unit;
    if (number < 999.5 || unit === "P") return number.toFixed(0) + unit;
  }
  return "";
}

export const count = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");

export function day(us) {
  if (us === null || us === undefined) return "";
  const at = new Date(us / 1000);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** The time of day, to the second or finer. */
export function clock(us, digits = 0) {
  if (us === null || us === undefined) return "";
  const at = new Date(us / 1000);
  const seconds = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return digits ? `${seconds}.${String(Math.floor(us % S)).padStart(6, "0").slice(0, digits)}` : seconds;
}

/** Seconds since the start. */
export const since = (us, start) => (us === null || us === undefined ? "" : `+${((us - start) / S).toFixed(3)}`);

/** How wide the bar of a latency is, 0 to 1: the scale is logarithmic, from 100 µs to 10 s. */
export const weight = (us) => Math.min(1, Math.max(0.02, Math.log10(Math.max(us, 100) / 100) / 5));

/** How much attention a latency deserves. */
export const tone = (us) => (us >= 10 * S ? "bad" : us >= S ? "slow" : us >= 100 * MS ? "so" : "quick");
