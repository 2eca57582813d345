// Asks for the grid again while results are being read. The content comes rendered from
// the server, as it does without this.
import { tick } from './times.js';

const PERIOD = 2000;
const MOST = 150; // five minutes

let looks = 0;
const reading = () => document.querySelector('#grid[data-reading]');

async function look() {
  if (!reading() || ++looks > MOST) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.pathname + location.search, { cache: 'no-store' });
      const next = answer.ok && new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('#grid');
      // Whoever walks through the links, or has scrolled, is not disturbed until the end.
      const grid = reading();
      if (next && grid && (!grid.contains(document.activeElement) || !('reading' in next.dataset))) {
        const box = grid.querySelector('.grid-box');
        const [left, top] = [box?.scrollLeft ?? 0, box?.scrollTop ?? 0];
        grid.replaceWith(next);
        next.querySelector('.grid-box')?.scrollTo(left, top);
        tick(next);
      }
    } catch { /* the next look tells */ }
  }
  setTimeout(look, PERIOD);
}

if (reading()) setTimeout(look, PERIOD);
