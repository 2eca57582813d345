// Shows lines that are hidden around highlighted ones.
const STEP = 10;
const LARGE = 100;
const AT_ONCE = 1000;
const MOST = 5000;

export function folds(log) {
  for (const fold of log.element.querySelectorAll('.fold')) dress(log, fold);
}

function dress(log, fold) {
  const from = Number(fold.dataset.from);
  const to = Number(fold.dataset.to);
  const count = to - from + 1;
  const buttons = [];
  const button = (text, label, act) => {
    const b = document.createElement('button');
    b.type = 'button';
    b.textContent = text;
    b.setAttribute('aria-label', label);
    b.addEventListener('click', () => act(b));
    buttons.push(b);
  };
  for (const step of [STEP, LARGE]) {
    if (count <= step) continue;
    if (from > 1) button(`↓ ${step}`, `Show the first ${step} of ${count} hidden lines`, () => reveal(log, fold, from, from + step - 1));
    button(`↑ ${step}`, `Show the last ${step} of ${count} hidden lines`, () => reveal(log, fold, to - step + 1, to));
  }
  if (count <= MOST) button('All', `Show all ${count} hidden lines`, () => reveal(log, fold, from, to));
  fold.querySelector('.fold-buttons')?.remove();
  const place = document.createElement('span');
  place.className = 'fold-buttons';
  place.append(...buttons);
  fold.append(place);
}

async function reveal(log, fold, from, to) {
  const low = Number(fold.dataset.from);
  const high = Number(fold.dataset.to);
  const rows = [];
  for (let at = from; at <= to;) {
    const { lines } = await log.fetchLines(at, Math.min(AT_ONCE, to - at + 1));
    if (!lines.length) break;
    rows.push(...lines.filter((l) => l.n <= to).map((l) => log.line(l.n, l.html)));
    at = lines.at(-1).n + 1;
  }
  if (!rows.length) return;
  const focus = rows[from === low ? 0 : rows.length - 1].firstElementChild;
  if (from === low) fold.before(...rows); else fold.after(...rows);
  const [first, last] = from === low ? [to + 1, high] : [low, from - 1];
  if (first > last) {
    fold.remove();
  } else {
    fold.dataset.from = first;
    fold.dataset.to = last;
    const link = fold.querySelector('a');
    const address = new URLSearchParams(link.getAttribute('href'));
    address.set('from', first);
    link.href = `?${address}`;
    link.textContent = `${last - first + 1} lines hidden`;
    dress(log, fold);
  }
  focus.focus({ preventScroll: true });
  log.mark();
}
