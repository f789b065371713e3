// Times of a finished run in words.
const DAY_S = 86400;
// Times of a shorter run need tenths of a second.
const SHORT_S = 600;

// A time of day in UTC, or minutes and seconds on the clock of the run; with tenths if the steps are that short.
export function runClock(run, timeS, stepS = null) {
  const { epoch_s: epochS = null, start_s: startS = 0, end_s: endS = 0 } = run ?? {};
  const tenths = stepS === null ? epochS === null && endS < SHORT_S : stepS < 1;
  if (epochS !== null) {
    const text = new Date((epochS + timeS) * 1000).toISOString().replace("T", " ");
    return text.slice(endS - startS > DAY_S ? 5 : 11, tenths ? 21 : 19);
  }
  const rounded = tenths ? Math.round(Math.abs(timeS) * 10) / 10 : Math.round(Math.abs(timeS));
  const seconds = (rounded % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor(rounded / 60) % 60;
  const sign = timeS < 0 ? "-" : "";
  return sign + (endS >= 3600 ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`);
}
