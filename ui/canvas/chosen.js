/** The place that is decoded: chosen by hand, or by the page. */

const PICK_DELAY_MS = 250;

export class Chosen {
  /** @param {import("./plane.js").Plane} plane */
  constructor(plane) {
    this.plane = plane;
    // What the resting picture shows: where, by which URL, what else to say; whether it came.
    /** @type {{p: [number, number] | null, by: string, about: string, came: boolean}} */
    this.resting = { p: null, by: "", about: "", came: true };
    this.lastPick = /** @type {object | null} */ (null);
  }

  /** Another space: what was picked in the last one means nothing here. */
  forget() {
    this.resting = { p: null, by: "", about: "", came: true };
    this.plane.hover.forget();
    this.plane.panel.forget();
  }

  /** Decode the resting place again where the page now names other weights. */
  refresh() {
    const { by, p } = this.resting;
    if (p && by !== this.plane.data.decode) this.decode(p, "");
  }

  /** Decode the resting place again if that failed. */
  again() {
    const { about, came, p } = this.resting;
    if (p && !came) this.decode(p, about);
  }

  /** The manifold changed, and with it the mix at the resting place. */
  remix() {
    const { about, p } = this.resting;
    if (p && !this.plane.data.decode) this.decode(p, about);
    else if (p) this.plane.panel.mixed(this.plane.layers.preview(p));
  }

  /** The page's picks were taken. @param {boolean} moved */
  picksTaken(moved) {
    const { hover, picks } = this.plane;
    hover.pending = null;
    if (moved && picks.current) this.decode(picks.current, "");
    this.plane.redraw(false);
  }

  /**
   * Mark a place (or the datum there), decode it, then tell the page.
   * @param {[number, number]} place
   * @param {boolean} shift  it is the second pick
   * @param {boolean} snap  whether a datum or a code within reach is meant
   * @param {boolean} touch  a finger reaches further for a code than a pointer
   */
  async commit(place, shift, snap, touch = false) {
    const { api, codes, hover, life, picks, replay } = this.plane;
    const near = hover.datumAt(place);
    const hit = snap ? near : null;
    const [x, y] = hit?.p ?? place;
    const p = /** @type {[number, number]} */ ([Number(x.toFixed(6)), Number(y.toFixed(6))]);
    const marker = snap ? hover.markerAt(place, touch) : -1;
    const code = marker < 0 ? hover.cellAt(p) : marker;
    const index = replay.data ? null : (hit?.index ?? null);
    const pick = { p, index, shift, ...(codes.data && { code: code < 0 ? null : code }) };
    this.lastPick = pick;
    hover.pending = hover.pointer = null;
    hover.hit = near;
    picks.choose(p, shift);
    const datum = hit ? hit.about : near ? `near ${near.about}; Enter takes it` : "";
    const about = [codes.words(marker), datum].filter(Boolean).join("; ");
    const slow = new Promise((done) => setTimeout(done, PICK_DELAY_MS));
    await Promise.race([this.decode(p, about), slow]);
    if (this.lastPick === pick && !life.signal.aborted) api.setTriggerValue("pick", pick);
  }

  /**
   * Fetch the exact picture of a place; the mix stands in for it, and where the page names no
   * decoder the mix is all there is.
   * @param {[number, number]} p
   * @param {string} about
   */
  async decode(p, about) {
    const { hover, layers, panel } = this.plane;
    const by = this.plane.data.decode;
    const resting = { p, by, about, came: true };
    this.resting = resting;
    const words = hover.words(p, about || (this.plane.data.decoded ?? ""));
    if (!by) {
      panel.settleOn(layers.preview(p), words);
      this.plane.redraw(false);
      hover.describe();
      return;
    }
    const done = panel.decode(`${by}&p=${p[0]},${p[1]}`, words, layers.preview(p));
    this.plane.redraw(false);
    resting.came = await done;
    hover.describe();
  }
}
