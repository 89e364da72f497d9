/**
 * Voronoi cells: the part of a box that lies nearer to one place than to any other. Pure.
 *
 * @typedef {[number, number]} Spot
 * @typedef {Spot[]} Cell  its corners in order, none if it is empty
 */

/**
 * Which of some places is nearest, the first of those equally near; -1 without any.
 * @param {Spot[]} places
 * @param {Spot} spot
 */
export function nearestOf(places, [x, y]) {
  let least = Infinity;
  let found = -1;
  places.forEach(([px, py], i) => {
    const square = (px - x) ** 2 + (py - y) ** 2;
    if (square < least) [least, found] = [square, i];
  });
  return found;
}

/** So many of the nearest places cut a cell first: then it is small, and few others can cut it. */
const NEAREST_FIRST = 12;

/**
 * The exact cell of each place. It begins as the box and is cut by the line half-way to every other
 * place; one more than twice as far away as the cell's furthest corner cannot cut it any more. Of
 * equal places the first has the cell, the others have none.
 * @param {Spot[]} places
 * @param {import("./view.js").View} box
 * @returns {Cell[]}
 */
export function cellsOf(places, [x0, x1, y0, y1]) {
  const squares = new Float64Array(places.length);
  return places.map((own, i) => {
    /** @type {Cell} */
    let cell = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
    let reach = reachOf(cell, own);
    for (let j = 0; j < places.length; j++) {
      squares[j] = (places[j][0] - own[0]) ** 2 + (places[j][1] - own[1]) ** 2;
    }
    if (squares.indexOf(0) < i) return [];
    const take = (/** @type {number} */ j) => {
      const apart = squares[j];
      squares[j] = Infinity;
      if (apart === 0 || apart > 4 * reach) return;
      const before = cell;
      cell = cut(cell, own, places[j]);
      if (cell !== before) reach = reachOf(cell, own);
    };
    take(i);
    for (let k = 0; k < NEAREST_FIRST; k++) take(leastOf(squares));
    for (let j = 0; j < places.length; j++) take(j);
    return cell;
  });
}

/**
 * Where the least of some numbers is.
 * @param {Float64Array} numbers
 */
function leastOf(numbers) {
  let least = 0;
  for (let j = 1; j < numbers.length; j++) if (numbers[j] < numbers[least]) least = j;
  return least;
}

/**
 * How far a cell's furthest corner is from a place, squared.
 * @param {Cell} cell
 * @param {Spot} spot
 */
function reachOf(cell, [x, y]) {
  let furthest = 0;
  for (const [cx, cy] of cell) furthest = Math.max(furthest, (cx - x) ** 2 + (cy - y) ** 2);
  return furthest;
}

/**
 * What of a cell lies no nearer to another place than to its own; the cell itself if all of it.
 * @param {Cell} cell  convex
 * @param {Spot} own
 * @param {Spot} other
 * @returns {Cell}
 */
function cut(cell, [ax, ay], [bx, by]) {
  const [nx, ny] = [bx - ax, by - ay];
  const middle = ((ax + bx) * nx + (ay + by) * ny) / 2;
  const side = (/** @type {Spot} */ corner) => corner[0] * nx + corner[1] * ny - middle;
  if (cell.every((corner) => side(corner) <= 0)) return cell;
  /** @type {Cell} */
  const kept = [];
  for (let k = 0; k < cell.length; k++) {
    const [corner, next] = [cell[k], cell[(k + 1) % cell.length]];
    const [here, there] = [side(corner), side(next)];
    if (here <= 0) kept.push(corner);
    if (here > 0 === there > 0) continue;
    const share = here / (here - there);
    const [x, y] = corner;
    kept.push([x + (next[0] - x) * share, y + (next[1] - y) * share]);
  }
  return kept;
}
