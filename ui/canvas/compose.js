/** What is drawn: what there is, less what is switched off in the legend. */

/**
 * @param {import("./plane.js").Plane} plane
 * @returns {import("./scene.js").Scene}
 */
export function sceneOf({ camera, data, layers, shown, theme }) {
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
  return { view, frame, theme, axes, unit, prior, points, hidden, backdrop, heat, field, overlays };
}

/**
 * @param {import("./plane.js").Plane} plane
 * @returns {import("./marks.js").Marks}
 */
export function marksOf({ camera, data, handle, hover, lasso, picks, race, shown, theme, walker }) {
  const { frame, view } = camera;
  const { hit, pending, second } = hover;
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
