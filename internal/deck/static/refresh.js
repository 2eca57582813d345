// Asks for the page again and replaces the regions that differ. The server answers
// with 304 as long as nothing has changed.
const PERIOD = 3000;

export function refresh({ changed }) {
  const regions = () => [...document.querySelectorAll('[data-live]')];
  if (!regions().length) return;
  let tag = '';
  let busy = false;

  async function look() {
    if (busy || document.hidden) return;
    const run = document.querySelector('[data-live="run"]');
    busy = true;
    try {
      const answer = await fetch(location.pathname + location.search, { headers: tag ? { 'If-None-Match': tag } : {}, cache: 'no-store' });
      if (answer.status !== 200) return;
      tag = answer.headers.get('ETag') || '';
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const region of regions()) replace(region, fresh.querySelector(`[data-live="${region.dataset.live}"]`));
      if (run?.dataset.complete === 'true') period = 30000;
    } catch {
      // The server is away for a moment; the next look tells.
    } finally {
      busy = false;
    }
  }

  function replace(region, next) {
    if (!next || region.dataset.raw === next.innerHTML) return;
    const first = region.dataset.raw === undefined;
    const focused = keyOf(document.activeElement, region);
    const opened = new Map([...region.querySelectorAll('details[data-keep]')].map((d) => [d.dataset.keep, d.open]));
    const known = new Set([...region.querySelectorAll('tr[data-key]')].map((row) => row.dataset.key));
    const raw = next.innerHTML;
    for (const details of next.querySelectorAll('details[data-keep]')) {
      if (opened.has(details.dataset.keep)) details.open = opened.get(details.dataset.keep);
    }
    for (const row of next.querySelectorAll('tr[data-key]')) {
      if (!first && known.size && !known.has(row.dataset.key)) row.classList.add('fresh');
    }
    Object.assign(region.dataset, { ...next.dataset, raw: '' });
    region.replaceChildren(...next.childNodes);
    region.dataset.raw = raw;
    focused && region.querySelector(focused)?.focus({ preventScroll: true });
    changed(region);
  }

  function keyOf(element, region) {
    if (!region.contains(element) || element === region) return '';
    const href = element.getAttribute('href');
    const row = element.closest('tr[data-key]');
    return (row ? `tr[data-key="${CSS.escape(row.dataset.key)}"] ` : '') + (href ? `a[href="${CSS.escape(href)}"]` : element.tagName.toLowerCase());
  }

  let period = PERIOD;
  const again = () => setTimeout(() => look().finally(again), period);
  again();
  document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
}
