/** Fetching: each large thing once, and one sentence when it fails. */

const KEPT = 12;
const BUSY = [502, 503, 504];

/**
 * Answers by URL, newest last. The module outlives the component, so a page that is opened
 * again finds what it had.
 * @type {Map<string, Promise<any>>}
 */
const answers = new Map();

/** Trouble that may pass, so that asking again is worth while. */
export class Passing extends Error {
  /**
   * @param {string} words
   * @param {boolean} silent  whether there was no answer at all
   */
  constructor(words, silent) {
    super(words);
    this.silent = silent;
  }
}

/**
 * Fetch, and turn every failure into the rest of the sentence "Could not ...: ".
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>} whole: what is read from it next is there already
 */
export async function get(url, signal) {
  let response;
  try {
    const answer = await fetch(url, { signal, credentials: "same-origin" });
    const { headers, status } = answer;
    response = new Response(await answer.arrayBuffer(), { headers, status });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Passing("the server does not answer", true);
  }
  if (response.ok) return response;
  const words = await reason(response);
  throw BUSY.includes(response.status) ? new Passing(words, false) : new Error(words);
}

/**
 * The server's own words if they are short and plain, else its status.
 * @param {Response} response
 */
async function reason(response) {
  const plain = response.headers.get("content-type")?.startsWith("text/plain");
  const words = plain ? (await response.text()).trim() : "";
  return words && words.length < 200 ? words : `the server answered with status ${response.status}`;
}

/**
 * Fetch and read a URL once; a failure is forgotten, so that the next try is a real one.
 * @template T
 * @param {string} url
 * @param {(response: Response) => Promise<T>} read
 * @returns {Promise<T>}
 */
export function once(url, read) {
  let answer = answers.get(url);
  if (!answer) {
    answer = get(url).then(read);
    answer.catch(() => answers.delete(url));
  }
  answers.delete(url);
  answers.set(url, answer);
  for (const old of answers.keys()) {
    if (answers.size <= KEPT) break;
    answers.delete(old);
  }
  return answer;
}

/**
 * What an error says, without its full stop.
 * @param {unknown} error
 */
export function message(error) {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
}
