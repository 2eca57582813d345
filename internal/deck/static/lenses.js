// Shows lenses in frames and does for them what they may not do themselves. A frame has an
// origin of its own; what it says is checked, and never becomes a part of this page.
const MAX_HEIGHT = 100000;
const MAX_DATA = 1 << 20;
const MAX_BUSY = 8;
const PATIENCE = 4000;

const region = document.querySelector('[data-lenses]');
const cards = new Map(); // by index of the configuration

if (region) {
  const place = document.createElement('div');
  place.className = 'lenses';
  region.after(place);
  region.hidden = true;
  window.addEventListener('message', receive);
  window.addEventListener('hashchange', () => { for (const card of cards.values()) tellHash(card); oldLogLink(); });
  new MutationObserver(() => sync(place)).observe(region, { childList: true });
  sync(place);
  oldLogLink();
}

// Makes the frames those that the server listed. One that is there stays as it is.
function sync(place) {
  const parts = fragments();
  let before = place.firstElementChild;
  for (const item of region.querySelectorAll('[data-lens-index]')) {
    const { lensIndex: index, lensVersion: version, lensName: name } = item.dataset;
    let card = cards.get(index);
    if (!card) {
      card = make(item, parts);
      cards.set(index, card);
      place.insertBefore(card.section, before);
    } else if (card.version !== version && card.name === name) {
      card.version = version;
      load(card);
    }
    before = card.section.nextElementSibling;
  }
}

function make(item, parts) {
  const { lensIndex: index, lensVersion: version, lensName: name, hideTitle } = item.dataset;
  const section = document.createElement('section');
  section.className = 'card lens loading';
  section.id = `lens-${index}`;
  const title = item.querySelector('h2').textContent;
  const heading = document.createElement('h2');
  heading.textContent = title;
  const frame = document.createElement('iframe');
  frame.title = title;
  frame.sandbox = 'allow-scripts allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation';
  if (!parts.has(index) && cards.size >= 6) frame.loading = 'lazy';
  section.append(heading, frame);
  const card = { index, version, name, section, heading, frame, hideTitle: hideTitle === 'true', url: item.querySelector('a').href, busy: 0 };
  frame.addEventListener('load', () => setTimeout(() => { if (section.classList.contains('loading')) reveal(card, 320); }, PATIENCE));
  load(card);
  return card;
}

function load(card) {
  const top = `${location.origin}${location.pathname}${location.search}`;
  const part = fragments().get(card.index);
  card.sent = part ?? '';
  card.frame.src = `${card.url}&topURL=${encodeURIComponent(top)}&lensIndex=${card.index}&v=${card.version}${part ? `#${part}` : ''}`;
}

function reveal(card, height) {
  card.frame.style.height = `${height}px`;
  card.heading.classList.toggle('visually-hidden', card.hideTitle);
  card.section.classList.remove('loading');
}

function receive(event) {
  const card = [...cards.values()].find((c) => c.frame.contentWindow === event.source);
  // Frames in frames, and what a frame was led away to, are not listened to.
  if (!card || event.origin !== 'null' || typeof event.data !== 'object' || !event.data) return;
  const { id, message } = event.data;
  if (!Number.isSafeInteger(id) || typeof message !== 'object' || !message) return;
  const answer = (type, data) => card.frame.contentWindow?.postMessage({ id, message: { type, data } }, '*');
  switch (message.type) {
    case 'contentUpdated':
      if (Number.isFinite(message.height)) reveal(card, Math.min(Math.max(message.height, 0), MAX_HEIGHT));
      answer('response', '');
      break;
    case 'request':
      ask(card, 'callback', message.data, answer);
      break;
    case 'requestPage':
    case 'updatePage':
      ask(card, 'rerender', message.data, answer);
      break;
    case 'updateHash':
      if (typeof message.hash === 'string' && message.hash.length < 2000) keepHash(card, message.hash.replace(/^#/, ''));
      answer('response', '');
      break;
    case 'showOffset':
      if (Number.isFinite(message.top)) {
        const margin = document.querySelector('.top')?.offsetHeight ?? 0;
        window.scrollTo({ top: window.scrollY + card.frame.getBoundingClientRect().top + message.top - margin - 8 });
      }
      answer('response', '');
  }
}

async function ask(card, action, data, answer) {
  data = data === undefined ? '' : data;
  if (typeof data !== 'string' || data.length > MAX_DATA || card.busy >= MAX_BUSY) {
    answer('error', 'The page does not pass this on.');
    return;
  }
  card.busy++;
  try {
    const headers = { 'Content-Type': 'text/plain' };
    if (globalThis.csrfToken) headers['X-CSRF-Token'] = globalThis.csrfToken;
    const response = await fetch(card.url.replace('/iframe?', `/${action}?`), { method: 'POST', body: data, headers });
    answer(response.ok ? 'response' : 'error', await response.text());
  } catch {
    answer('error', 'The site does not answer.');
  } finally {
    card.busy--;
  }
}

// The fragment of the page is "#<index>:<escaped>" for each lens, joined by ";".
function fragments() {
  const out = new Map();
  for (const item of location.hash.slice(1).split(';')) {
    const match = /^(\d+):(.*)$/s.exec(item);
    if (!match) continue;
    let text = match[2];
    try { text = decodeURIComponent(text); } catch { /* as it is */ }
    out.set(match[1], text.replace(/^#/, ''));
  }
  return out;
}

function keepHash(card, hash) {
  const parts = fragments();
  if (hash) parts.set(card.index, hash); else parts.delete(card.index);
  card.sent = hash;
  const text = [...parts].map(([i, h]) => `${i}:${encodeURIComponent(h)}`).join(';');
  // Browsers limit how often that may happen.
  try { history.replaceState(history.state, '', text ? `#${text}` : location.pathname + location.search); } catch { /* next time */ }
}

function tellHash(card) {
  const hash = fragments().get(card.index);
  if (hash === undefined || hash === card.sent) return;
  card.sent = hash;
  card.frame.contentWindow?.postMessage({ id: 0, message: { type: 'updateHash', hash } }, '*');
}

// The log is a part of the page; older links lead to lines of its lens.
function oldLogLink() {
  const index = region.dataset.logLens;
  const match = /^(?:(.*)-)?build-log\.txt:(\d+)(?:-(\d+))?$/.exec((index && fragments().get(index)) ?? '');
  if (!match) return;
  const [, container, from, to] = match;
  const hash = `#L${from}${to ? `-L${to}` : ''}`;
  const params = new URLSearchParams(location.search);
  if (container && params.get('container') !== container) {
    params.set('container', container);
    location.replace(`?${params}${hash}`);
  } else {
    location.replace(hash);
  }
}
