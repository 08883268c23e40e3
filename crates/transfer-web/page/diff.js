// @ts-check
/** A unified diff: signs and colours show which lines were added and removed. */
import { html } from './dom.js';
import { list, text } from './outside.js';

/** Longer diffs are cut. */
const MOST_LINES = 600;

/** @param {string} line */
function kindOf(line) {
  if (line.startsWith('+++') || line.startsWith('---') || line.startsWith('@@')) return 'head';
  return line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : 'same';
}

/**
 * @param {HTMLElement} place
 * @param {unknown} diff its lines
 */
export function drawDiff(place, diff) {
  const lines = list(diff);
  const shown = lines.slice(0, MOST_LINES).map((line) => text(line, 400));
  if (lines.length > MOST_LINES) shown.push(`… and ${lines.length - MOST_LINES} more lines`);
  place.replaceChildren(...shown.flatMap((line) => [html('span', { 'data-line': kindOf(line) }, line), '\n']));
}
