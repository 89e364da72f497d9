/** The race's chart: every track's ELBO up to now, under log p(x). Pure drawing. */
import { drawSpot } from "./ink.js";
import { ticks, written } from "./view.js";

const FONT_SIZE = 15;
const MARGIN = { left: 84, top: 12, right: 14, bottom: 46 };
/** At least this share of the height shows the end of the race. */
const END_SHARE = 0.3;
const LEAST_SPAN = 0.2;
/** Room above the highest value, for its name. */
const ROOM_ABOVE = 0.17;

/**
 * @typedef {{label: string, colour: string, elbo: number[],
 *   frames: [number, number, number, number, number][]}} Track
 * @typedef {{tracks: Track[], place: number, last: number, perFrame: number,
 *   top: number | null, cap: number | null}} RaceNow  place: the frame shown, maybe between two
 */

/**
 * The values that the chart shows: the levels, and the end of the race at a readable size.
 * @param {{elbo: number[]}[]} tracks
 * @param {(number | null)[]} levels
 * @returns {{lo: number, hi: number, lowest: number}} lowest: of all values, null if none is cut off
 */
export function chartRange(tracks, levels) {
  const values = tracks.map(({ elbo }) => elbo.filter(Number.isFinite)).filter((v) => v.length);
  const marked = levels.filter((v) => v !== null && Number.isFinite(v)).map(Number);
  const all = [...values.flat(), ...marked];
  if (!all.length) return { lo: -1, hi: 0, lowest: -1 };
  const hi = all.reduce((a, b) => Math.max(a, b));
  const lowest = all.reduce((a, b) => Math.min(a, b));
  const third = (/** @type {number[]} */ v) => v[Math.floor(0.3 * (v.length - 1))];
  const most = values.map((v) => third([...v].sort((a, b) => a - b)));
  const ends = values.flatMap((v) => v.slice(Math.floor((2 * v.length) / 3)));
  const end = Math.min(hi - LEAST_SPAN, ...ends, ...marked);
  const lo = Math.min(end, Math.max(lowest, hi - (hi - end) / END_SHARE, Math.min(hi, ...most)));
  return { lo: lo - 0.07 * (hi - lo), hi: hi + ROOM_ABOVE * (hi - lo), lowest };
}

/**
 * @param {CanvasRenderingContext2D} context  in CSS pixels
 * @param {{width: number, height: number}} size
 * @param {RaceNow} race
 * @param {{lo: number, hi: number}} range
 * @param {import("./colour.js").Theme} theme
 */
export function drawChart(context, { height, width }, race, { hi, lo }, theme) {
  const { bottom, left, right, top } = MARGIN;
  const box = { left, top, width: width - left - right, height: height - top - bottom };
  const toX = (/** @type {number} */ frame) => box.left + (frame / (race.last || 1)) * box.width;
  const toY = (/** @type {number} */ nats) => box.top + ((hi - nats) / (hi - lo)) * box.height;
  context.font = `${FONT_SIZE}px ${theme.font}`;
  context.lineJoin = "round";
  drawChartAxes(context, box, race, { hi, lo }, toX, toY, theme);
  context.save();
  context.beginPath();
  context.rect(box.left, box.top, box.width, box.height);
  context.clip();
  drawLevels(context, box, race, toY, theme);
  for (const { colour, elbo } of race.tracks) {
    context.beginPath();
    for (let i = 0; i < elbo.length && i <= race.place; i++) context.lineTo(toX(i), toY(elbo[i]));
    const now = elboAt(elbo, race.place);
    const x = toX(Math.min(race.place, elbo.length - 1));
    context.lineTo(x, toY(now));
    context.strokeStyle = colour;
    context.lineWidth = 3;
    context.stroke();
    if (now >= lo) drawSpot(context, x, toY(now), 5, colour, theme.ground);
    else drawBelow(context, x, box.top + box.height, colour);
  }
  context.restore();
}

/**
 * An arrow to a value below the chart.
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} floor
 * @param {string} colour
 */
function drawBelow(context, x, floor, colour) {
  context.beginPath();
  context.moveTo(x - 7, floor - 13);
  context.lineTo(x + 7, floor - 13);
  context.lineTo(x, floor - 2);
  context.fillStyle = colour;
  context.fill();
}

/**
 * A track's ELBO at a frame, or between two.
 * @param {number[]} elbo
 * @param {number} place
 */
export function elboAt(elbo, place) {
  const i = Math.min(Math.floor(place), elbo.length - 1);
  const next = elbo[Math.min(i + 1, elbo.length - 1)];
  return elbo[i] + (next - elbo[i]) * Math.min(1, place - i);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./view.js").Frame} box
 * @param {RaceNow} race
 * @param {{lo: number, hi: number}} range
 * @param {(frame: number) => number} toX
 * @param {(nats: number) => number} toY
 * @param {import("./colour.js").Theme} theme
 */
function drawChartAxes(context, box, race, { hi, lo }, toX, toY, theme) {
  const floor = box.top + box.height;
  context.save();
  context.fillStyle = context.strokeStyle = theme.ink;
  context.lineWidth = 1;
  context.globalAlpha = 0.4;
  context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { value, text } of ticks(lo, hi, box.height / 42)) {
    const y = Math.round(toY(value));
    context.globalAlpha = 0.12;
    context.fillRect(box.left, y, box.width, 1);
    context.globalAlpha = 0.95;
    if (y > box.top + 6 && y < floor - 4) context.fillText(text, box.left - 8, y);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const { value, text } of ticks(0, race.last * race.perFrame || 1, box.width / 100)) {
    const x = toX(value / race.perFrame);
    context.fillRect(Math.round(x), floor, 1, 5);
    if (x < box.left + box.width - 10) context.fillText(text, x, floor + 7);
  }
  context.fillText("step", box.left + box.width / 2, floor + 26);
  context.translate(16, box.top + box.height / 2);
  context.rotate(-Math.PI / 2);
  context.textBaseline = "middle";
  context.fillText("ELBO (nats)", 0, 0);
  context.restore();
}

/**
 * Horizontal lines at log p(x) and at the best bound of the family, with their values.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./view.js").Frame} box
 * @param {RaceNow} race
 * @param {(nats: number) => number} toY
 * @param {import("./colour.js").Theme} theme
 */
function drawLevels(context, box, { cap, top }, toY, theme) {
  const right = box.left + box.width;
  const lines = [
    { name: "log p(x)", value: top, dash: [], width: 2.5, away: -1 },
    { name: "L[q*]", value: cap, dash: [9, 6], width: 2, away: 1 },
  ].filter(({ value }) => value !== null && Number.isFinite(value));
  context.save();
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { away, dash, name, value, width } of lines) {
    const y = toY(Number(value));
    context.strokeStyle = theme.ink;
    context.setLineDash(dash);
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(box.left, y);
    context.lineTo(right, y);
    context.stroke();
    context.setLineDash([]);
    const middle = y + away * (FONT_SIZE / 2 + 5);
    const text = `${name} = ${written(Number(value), 2)}`;
    context.globalAlpha = 0.85;
    context.fillStyle = theme.ground;
    const wide = context.measureText(text).width;
    context.fillRect(right - wide - 12, middle - 9, wide + 8, 18);
    context.globalAlpha = 1;
    context.fillStyle = theme.ink;
    context.fillText(text, right - 8, middle);
  }
  context.restore();
}
