// Follows the log of a run: appends the lines that the server renders, keeps the end
// in view while the viewer is there, and finds lines that are linked.
const MAX_LINES = 5000;

export function followLog(root) {
  const log = root.querySelector('.log');
  if (!log) return null;
  const status = root.querySelector('[data-log-status]');
  const box = root.querySelector('[data-follow]');
  let last = Number(log.dataset.last) || 0;
  let source = null;
  let ended = false;

  const atEnd = () => window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 120;
  const showEnd = () => window.scrollTo({ top: document.documentElement.scrollHeight });

  function append({ first, lines }) {
    const follow = box?.checked;
    root.querySelector('[data-log-waiting]')?.remove();
    const part = document.createDocumentFragment();
    if (last && first > last + 1) part.append(gap(first - last - 1));
    lines.forEach((html, i) => {
      const number = first + i;
      if (number <= last) return;
      part.append(line(number, html));
      last = number;
    });
    log.append(part);
    let surplus = log.childElementCount - MAX_LINES;
    while (surplus-- > 0) log.firstElementChild.remove();
    const begin = log.querySelector('.l')?.id.slice(1);
    if (status && begin) status.textContent = `lines ${begin}–${last}`;
    if (follow) showEnd();
    mark();
  }

  function line(number, html) {
    const row = document.createElement('div');
    row.className = 'l';
    row.id = `L${number}`;
    const link = document.createElement('a');
    link.href = `#L${number}`;
    link.textContent = number;
    link.setAttribute('aria-label', `Line ${number}`);
    const text = document.createElement('span');
    text.innerHTML = html; // escaped by the server; only spans with classes
    row.append(link, text);
    return row;
  }

  function gap(count) {
    const row = document.createElement('div');
    row.className = 'gap';
    row.textContent = `${count} lines went by too fast; the raw log has them`;
    return row;
  }

  function start() {
    if (source || ended || !log.dataset.followUrl) return;
    box.closest('label').hidden = false;
    box.checked = !location.hash && atEnd();
    source = new EventSource(`${log.dataset.followUrl}&from=${last}`);
    source.addEventListener('message', (event) => append(JSON.parse(event.data)));
    source.addEventListener('end', () => { ended = true; stop(); });
  }

  function stop() {
    source?.close();
    source = null;
    if (box) box.closest('label').hidden = true;
  }

  // A line that is not on the page is on another part of the log.
  function mark() {
    const match = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
    for (const row of log.querySelectorAll('.marked')) row.classList.remove('marked');
    if (!match) return null;
    const [from, to] = [Number(match[1]), Number(match[2] || match[1])];
    for (let n = from; n <= Math.min(to, from + MAX_LINES); n++) root.getElementById(`L${n}`)?.classList.add('marked');
    return from;
  }

  function goToMark() {
    const from = mark();
    if (!from) return;
    const row = root.getElementById(`L${from}`);
    if (row) { row.scrollIntoView({ block: 'center' }); return; }
    const total = Number(log.dataset.total) || 0;
    if (log.dataset.liveLog === 'false' && from <= total) {
      const params = new URLSearchParams(location.search);
      params.set('from', Math.max(1, from - 100));
      location.replace(`?${params}${location.hash}`);
    }
  }

  // Shift and click on a second number marks all lines between.
  log.addEventListener('click', (event) => {
    const link = event.target.closest('.l > a');
    const match = /^#L(\d+)/.exec(location.hash);
    if (!link || !event.shiftKey || !match) return;
    event.preventDefault();
    const [a, b] = [Number(match[1]), Number(link.textContent)].sort((x, y) => x - y);
    location.hash = `L${a}-L${b}`;
  });

  box?.addEventListener('change', () => { if (box.checked) showEnd(); });
  window.addEventListener('wheel', (event) => { if (box && event.deltaY < 0) box.checked = false; }, { passive: true });
  window.addEventListener('hashchange', goToMark);
  goToMark();
  if (log.dataset.liveLog === 'true') start();
  return {
    // The run got a build, and so a log, after the page was loaded.
    update() {
      if (!log.dataset.followUrl && document.querySelector('[data-live="run"]')?.dataset.build) location.reload();
    },
  };
}
