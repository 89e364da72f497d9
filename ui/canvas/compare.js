/** The mix against the exact picture: where it lacks ink, where it has too much, by how much. */

const LACKS = [0, 114, 178];
const EXCEEDS = [213, 94, 0];
const PAPER = 245;

/** @typedef {{image: ImageData, mean: number, largest: number}} Difference  in % of full scale */

/**
 * Mix minus exact, in colour: blue where the mix lacks ink, orange where it has too much.
 * @param {import("./picture.js").Grey} mixed
 * @param {import("./picture.js").Grey} exact
 * @returns {Difference | null} null if the two are not of one size
 */
export function difference(mixed, exact) {
  const { height, pixels, width } = exact;
  if (mixed.height !== height || mixed.width !== width) return null;
  const image = new ImageData(width, height);
  let [sum, largest] = [0, 0];
  for (let i = 0; i < pixels.length; i++) {
    const change = mixed.pixels[i] - pixels[i];
    const size = Math.abs(change);
    const colour = change < 0 ? LACKS : EXCEEDS;
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = PAPER + (colour[c] - PAPER) * (size / 255);
    }
    image.data[4 * i + 3] = 255;
    sum += size;
    largest = Math.max(largest, size);
  }
  const percent = 100 / 255;
  return { image, mean: (sum / pixels.length) * percent, largest: largest * percent };
}

/**
 * The difference in words.
 * @param {Difference} of
 */
export function measured({ largest, mean }) {
  const [average, most] = [mean, largest].map((v) => `${v.toFixed(v < 1 ? 2 : 1)} %`);
  return (
    "The preview mixes the four decoded pictures around. " +
    `Mix minus exact: ${average} of full scale on average, ${most} at most. ` +
    "Blue: the mix lacks ink; orange: it has too much."
  );
}
