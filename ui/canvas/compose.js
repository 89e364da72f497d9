/** What is drawn: what there is, less what is switched off in the legend. */

/**
 * @param {import("./plane.js").Plane} plane
 * @returns {import("./scene.js").Scene}
 */
export function sceneOf({ camera, codes, data, layers, shown, theme }) {
  const { axes, draws, ellipses, prior, unit } = data;
  const { frame, view } = camera;
  const overlays = {
    draws: shown.on("draws") ? (draws ?? null) : null,
    ellipses: kept(shown, "ellipse", ellipses),
  };
  const points = shown.on("points") ? layers.points : null;
  const backdrop = shown.on("backdrop") ? layers.backdrop : null;
  const heat = shown.on("heat") ? layers.heat : null;
  const { field, hidden } = layers;
  const space = { view, frame, theme, axes, unit, prior };
  const grounds = { points, hidden, backdrop, heat, field };
  return { ...space, ...grounds, overlays, codes: codesOf(codes, shown, view) };
}

/**
 * @param {import("./codes.js").Codes} codes
 * @param {import("./shown.js").Shown} shown
 * @param {import("./view.js").View} view
 * @returns {import("./codeink.js").CodesShown | null}
 */
function codesOf(codes, shown, view) {
  const { data, now, trails } = codes;
  if (!data) return null;
  return {
    ...now,
    markers: shown.on("codes"),
    cells: data.cells && shown.on("cells") ? codes.cells(view) : null,
    trails: shown.on("trails") ? trails : null,
    selected: data.selected ?? null,
    neighbours: data.neighbours ?? [],
  };
}

/**
 * @param {import("./plane.js").Plane} plane
 * @returns {import("./marks.js").Marks}
 */
export function marksOf({ camera, data, handle, hover, lasso, picks, race, shown, theme, walker }) {
  const { frame, view } = camera;
  const { code, hit, pending, second } = hover;
  const outlines = {
    paths: kept(shown, "path", data.paths),
    polygons: kept(shown, "polygon", data.polygons),
    lasso,
    cursor: lasso.drawing ? pending : null,
    walker,
  };
  return {
    view,
    frame,
    theme,
    outlines,
    hit,
    code,
    picks: pending && !outlines.cursor ? picks.moved(pending, second) : picks.list,
    places: data.marks ?? [],
    race: race.data && race,
    handle: shown.on("handle") ? handle : null,
  };
}

/**
 * Those of a kind that are switched on.
 * @param {import("./shown.js").Shown} shown
 * @param {string} kind
 * @param {any[] | null | undefined} items
 */
function kept(shown, kind, items) {
  return (items ?? []).filter(({ label }) => shown.on(`${kind} ${label}`));
}
