// The log of a run: marks lines that are linked, fetches parts, follows what is being
// written. Lines come rendered and escaped from the server.
import { follow } from './logfollow.js';
import { search } from './logsearch.js';
import { folds } from './logfold.js';

const MAX_LINES = 5000;
const PART = 1000;

// A part of the log of which the address of the page is asked for.
class Log {
  constructor(root, element) {
    this.root = root;
    this.element = element;
    this.status = root.querySelector('[data-log-status]');
    this.data = element.dataset;
  }

  get live() { return this.data.liveLog === 'true'; }
  get first() { return Number(this.element.querySelector('.l[id]')?.id.slice(1)) || 0; }
  get last() { return Number([...this.element.querySelectorAll('.l[id]')].pop()?.id.slice(1)) || Number(this.data.last) || 0; }
  row(number) { return document.getElementById(`L${number}`); }

  params(more) { return new URLSearchParams({ src: this.data.src, ...(this.data.container ? { container: this.data.container } : {}), ...more }); }

  async fetchLines(from, count) {
    const answer = await fetch(`${this.data.linesUrl}?${this.params({ from, ...(count ? { count } : {}) })}`);
    if (!answer.ok) throw new Error(answer.statusText);
    return answer.json();
  }

  line(number, html) {
    const row = document.createElement('div');
    row.className = 'l';
    row.id = `L${number}`;
    const link = document.createElement('a');
    link.href = `#L${number}`;
    link.textContent = number;
    link.setAttribute('aria-label', `Line ${number}`);
    const text = document.createElement('span');
    text.innerHTML = html; // escaped by the server; only spans with classes
    linkify(text);
    row.append(link, text);
    return row;
  }

  trim() {
    let surplus = this.element.childElementCount - MAX_LINES;
    while (surplus-- > 0) this.element.firstElementChild.remove();
  }

  tell() {
    if (this.status && this.first && this.data.mode === 'lines') {
      const total = Number(this.data.total);
      this.status.textContent = `lines ${this.first}–${this.last}${total && !this.live ? ` of ${total}` : ''}`;
    }
  }

  // Shows the part around a line in place of what is shown.
  async show(number) {
    if (this.row(number)) return true;
    if (!this.data.src) return false;
    let part;
    try {
      part = await this.fetchLines(Math.max(1, number - 100), PART);
    } catch { return false; }
    if (part.wanted) {
      this.note(`Line ${number} has not been reached yet: the lines of this log are being counted${part.percent ? `, ${part.percent}% so far` : ''}.`);
      await new Promise((r) => { setTimeout(r, 700); });
      return this.wanted === number ? this.show(number) : false;
    }
    this.note('');
    if (!part.lines.some((l) => l.n === number)) return false;
    this.data.mode = 'lines';
    this.data.total = part.total;
    this.element.replaceChildren(...part.lines.map((l) => this.line(l.n, l.html)));
    this.root.querySelector('.found')?.remove();
    // What leads to the neighbours of the part before is wrong now.
    for (const link of this.root.querySelectorAll('[data-part]')) link.remove();
    this.follower?.away();
    this.decorate?.();
    this.around(part);
    this.tell();
    return true;
  }

  // Leads on from the ends of a part that was fetched.
  around() {
    for (const button of this.root.querySelectorAll('[data-more]')) button.remove();
    const more = (direction, label) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.dataset.more = direction;
      button.textContent = label;
      button.addEventListener('click', () => this.extend(direction));
      return button;
    };
    const total = Number(this.data.total) || Infinity;
    if (this.first > 1) this.element.before(more('up', '↑ Earlier lines'));
    if (this.last < total) this.element.after(more('down', '↓ Later lines'));
  }

  async extend(direction) {
    const from = direction === 'up' ? Math.max(1, this.first - PART) : this.last + 1;
    const count = direction === 'up' ? this.first - from : PART;
    const part = await this.fetchLines(from, count);
    const rows = part.lines.map((l) => this.line(l.n, l.html));
    this.data.total = part.total;
    if (direction === 'up') this.element.prepend(...rows); else this.element.append(...rows);
    if (direction === 'up') {
      let surplus = this.element.childElementCount - MAX_LINES;
      while (surplus-- > 0) this.element.lastElementChild.remove();
    } else this.trim();
    this.decorate?.();
    this.around();
    this.tell();
  }

  note(text) {
    let note = this.root.querySelector('[data-counting]');
    if (!text) { note?.remove(); return; }
    if (!note) {
      note = document.createElement('p');
      note.className = 'counting muted';
      note.dataset.counting = '';
      note.setAttribute('role', 'status');
      this.element.before(note);
    }
    note.textContent = text;
  }

  // Lines without numbers get theirs as soon as they are known.
  async count() {
    while (this.element.querySelector('[data-back]')) {
      let now;
      try { now = await this.fetchLines(0, 0); } catch { return; }
      if (now.problem) return;
      if (!now.counting) {
        for (const row of this.element.querySelectorAll('[data-back]')) {
          const number = now.total - Number(row.dataset.back) + 1;
          const link = row.firstElementChild;
          delete row.dataset.back;
          row.id = `L${number}`;
          link.href = `#L${number}`;
          link.textContent = number;
          link.setAttribute('aria-label', `Line ${number}`);
        }
        this.data.total = now.total;
        this.note('');
        this.tell();
        return;
      }
      this.note(`The lines of this log are being counted${now.percent ? `, ${now.percent}% so far` : ''}.`);
      await new Promise((r) => { setTimeout(r, 500); });
    }
  }
}

// Addresses in the text of a line become links, as text.
function linkify(span) {
  if (!span.textContent.includes('://')) return;
  const walker = document.createTreeWalker(span, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    const parts = text.data.split(/(https?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:)\]}])/);
    if (parts.length < 2) continue;
    text.replaceWith(...parts.map((part, i) => {
      if (i % 2 === 0) return part;
      const link = document.createElement('a');
      link.href = part;
      link.rel = 'noopener noreferrer nofollow';
      link.textContent = part;
      return link;
    }));
  }
}

// What a fragment marks: #L10, #L10-L20, and of older addresses #1:build-log.txt%3A10
// and #build-log.txt:10-20.
function marked(hash) {
  const own = /^#L(\d+)(?:-L?(\d+))?$/.exec(hash);
  if (own) return { from: Number(own[1]), to: Number(own[2] || own[1]) };
  let text = hash.slice(1);
  try { text = decodeURIComponent(text); } catch { return null; }
  const old = /^(?:\d+:)?([^:]+):(\d+)(?:-(\d+))?$/.exec(text);
  if (!old || !/(^|-)build-log\.txt$/.test(old[1])) return null;
  return { file: old[1], from: Number(old[2]), to: Number(old[3] || old[2]), old: true };
}

function fragment(from, to) { return from === to ? `#L${from}` : `#L${Math.min(from, to)}-L${Math.max(from, to)}`; }

export function followLog(root) {
  const element = root.querySelector('.log');
  if (!element) return null;
  const log = new Log(root, element);
  for (const span of element.querySelectorAll('.l > span')) linkify(span);
  const copy = root.querySelector('[data-copy-link]');

  let touched = false;
  function mark() {
    const lines = marked(location.hash);
    if (copy) copy.hidden = !lines;
    if (!lines && !touched) return null; // what the server marked stays
    touched = true;
    for (const row of element.querySelectorAll('.marked')) row.classList.remove('marked');
    if (!lines) return null;
    const [from, to] = [Math.min(lines.from, lines.to), Math.max(lines.from, lines.to)];
    for (let n = from; n <= Math.min(to, from + MAX_LINES); n++) log.row(n)?.classList.add('marked');
    return from;
  }

  // Leads to the line of the address, wherever it is.
  async function goToMark() {
    const lines = marked(location.hash);
    if (lines?.old) {
      if (lines.file !== log.data.file) {
        // It is about the log of another container.
        const container = lines.file === 'build-log.txt' ? 'test' : lines.file.replace(/-build-log\.txt$/, '');
        const known = [...root.querySelectorAll('.log-head .chip')].find((a) => a.textContent.trim() === container);
        if (known) { location.replace(`${known.getAttribute('href')}${fragment(lines.from, lines.to)}`); return; }
      }
      history.replaceState(history.state, '', fragment(lines.from, lines.to));
    }
    const from = mark();
    if (!from) return;
    log.wanted = from;
    if (!log.row(from)) await log.show(from);
    if (log.wanted !== from) return;
    mark();
    // Rows get their real height when they come near, so the first jump may miss.
    for (let i = 0; i < 6 && log.wanted === from; i++) {
      log.row(from)?.scrollIntoView({ block: 'center' });
      await new Promise(requestAnimationFrame);
    }
  }
  log.mark = mark;
  log.goTo = (number) => {
    if (location.hash === `#L${number}`) return goToMark();
    history.pushState(history.state, '', `#L${number}`);
    return goToMark();
  };

  // Shift and click on a second number marks all lines between.
  element.addEventListener('click', (event) => {
    const link = event.target.closest('.l > a');
    const before = marked(location.hash);
    if (!link || !event.shiftKey || !before) return;
    event.preventDefault();
    location.hash = fragment(before.from, Number(link.textContent));
  });

  root.querySelector('[data-log-jump]')?.addEventListener('submit', (event) => {
    event.preventDefault();
    const number = Number(event.target.elements.line.value);
    if (number > 0) log.goTo(number).then(() => { if (!log.row(number)) log.note(`There is no line ${number}.`); });
  });

  copy?.addEventListener('click', async () => {
    const link = new URL(`${log.data.permalink || location.pathname}${log.data.container ? `?${new URLSearchParams({ container: log.data.container })}` : ''}${location.hash}`, location.href);
    try {
      await navigator.clipboard.writeText(link.href);
      copy.textContent = 'Copied';
    } catch {
      copy.textContent = 'The browser refuses to copy';
    }
    setTimeout(() => { copy.textContent = 'Copy link'; }, 2000);
  });

  const wrap = root.querySelector('[data-wrap]');
  if (wrap) {
    try { wrap.checked = localStorage.getItem('log-wrap') !== 'no'; } catch { /* without storage it is as it is */ }
    wrap.addEventListener('change', () => {
      try { localStorage.setItem('log-wrap', wrap.checked ? 'yes' : 'no'); } catch { /* it lasts for this page */ }
    });
  }

  window.addEventListener('hashchange', goToMark);
  folds(log);
  search(log);
  log.follower = follow(log);
  goToMark();
  log.count();
  return {
    // The run got a build, and so a log, after the page was loaded.
    update() {
      if (!log.data.followUrl && document.querySelector('[data-live="run"]')?.dataset.build) location.reload();
    },
  };
}
