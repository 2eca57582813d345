// The library of lenses: the global spyglass. It talks with the page around the frame by
// messages, for the frame reaches nothing itself.
(() => {
  'use strict';
  if (globalThis.spyglass) return;

  const params = new URLSearchParams(location.search);
  const framed = window.parent !== window;
  const index = params.get('lensIndex') ?? indexOf(params.get('req'));
  const waiting = new Map();
  let last = 0;

  function indexOf(req) {
    try { return String(JSON.parse(req).index ?? 0); } catch { return '0'; }
  }

  // The page is of the site that this document came from, whatever origin that gave it.
  function send(message) {
    if (!framed) return Promise.reject(new Error('This lens is not on the page of a run.'));
    const id = ++last;
    window.parent.postMessage({ id, message }, location.origin);
    return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  }

  window.addEventListener('message', (event) => {
    if (!framed || event.source !== window.parent || typeof event.data !== 'object' || !event.data) return;
    const { id, message } = event.data;
    switch (message?.type) {
      case 'response':
        waiting.get(id)?.resolve(message.data ?? '');
        waiting.delete(id);
        break;
      case 'error':
        waiting.get(id)?.reject(new Error(message.data));
        waiting.delete(id);
        break;
      case 'updateHash':
        go(message.hash);
    }
  });

  // A base element changes what "#x" means, so the address is always whole.
  const own = () => location.href.split('#')[0];
  const plainHash = (hash) => String(hash ?? '').replace(/^#/, '');

  function go(hash) {
    hash = plainHash(hash);
    if (plainHash(location.hash) === hash) show();
    else location.replace(`${own()}#${hash}`); // comes back as hashchange
  }

  function target() {
    let name = plainHash(location.hash);
    if (!name) return null;
    try { name = decodeURIComponent(name); } catch { /* as it is */ }
    return document.getElementById(name) ?? document.getElementsByName(name)[0] ?? null;
  }

  function show() {
    const element = target();
    if (!element) return;
    for (let d = element.closest('details'); d; d = d.parentElement?.closest('details')) d.open = true;
    contentUpdated();
    if (!framed) { element.scrollIntoView(); return; }
    const box = element.getBoundingClientRect();
    spyglass.scrollTo(box.left, box.top);
  }

  let told = -1;
  let scheduled = false;
  function contentUpdated() {
    if (!framed || scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
      if (height === told) return;
      told = height;
      send({ type: 'contentUpdated', height });
    });
  }

  const spyglass = {
    // Asks the lens for its content with data, and replaces what is shown by it.
    async updatePage(data) {
      const html = await send({ type: 'updatePage', data: String(data ?? '') });
      (document.getElementById('lens') ?? document.body).innerHTML = html;
      document.dispatchEvent(new CustomEvent('spyglass:updated'));
      contentUpdated();
    },
    // Asks the lens for its content with data.
    requestPage: (data) => send({ type: 'requestPage', data: String(data ?? '') }),
    // Asks the lens.
    request: (data) => send({ type: 'request', data: String(data ?? '') }),
    // Tells the page how high the content is. Changes of size are told without it.
    contentUpdated() { told = -1; contentUpdated(); },
    // An address of the page that leads to a fragment in this lens.
    makeFragmentLink(fragment) {
      const page = params.get('topURL') ?? own();
      return `${page.split('#')[0]}#${index}:${encodeURIComponent(plainHash(fragment))}`;
    },
    // Scrolls the page to a place in this lens.
    async scrollTo(x, y) { await send({ type: 'showOffset', left: Number(x) || 0, top: Number(y) || 0 }); },
    // Keeps a fragment in the address of the page.
    async updateHash(hash) { await send({ type: 'updateHash', hash: plainHash(hash) }); },
  };
  globalThis.spyglass = spyglass;
  if (framed) document.documentElement.classList.add('framed');

  // Links to places in this document become links to the page, which can be sent to others.
  function rewrite(within) {
    const links = [...(within.querySelectorAll?.('a[href^="#"]') ?? [])];
    if (within.matches?.('a[href^="#"]')) links.push(within);
    for (const a of links) {
      const href = a.getAttribute('href');
      a.dataset.fragment = plainHash(href);
      if (!a.hasAttribute('data-preserve-anchor') && framed) a.href = spyglass.makeFragmentLink(href);
    }
  }

  document.addEventListener('click', (event) => {
    const a = event.target.closest?.('a[data-fragment]');
    if (!a || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(a.dataset.fragment);
    if (framed && !a.hasAttribute('data-preserve-anchor')) spyglass.updateHash(a.dataset.fragment);
  });

  // Addresses in text become links. What is decoded stays text.
  const address = /\b(?:https?|ftp|file):\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}]/g;
  function linkify(within) {
    const boxes = [...(within.querySelectorAll?.('[data-linkify]') ?? [])];
    if (within.matches?.('[data-linkify]')) boxes.push(within);
    for (const box of boxes) {
      box.removeAttribute('data-linkify');
      const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
      const texts = [];
      while (walker.nextNode()) if (!walker.currentNode.parentElement.closest('a')) texts.push(walker.currentNode);
      for (const text of texts) {
        const parts = [];
        let end = 0;
        for (const match of text.data.matchAll(address)) {
          const a = document.createElement('a');
          a.href = a.textContent = match[0];
          a.target = '_blank';
          a.rel = 'noopener noreferrer';
          parts.push(text.data.slice(end, match.index), a);
          end = match.index + match[0].length;
        }
        if (parts.length) text.replaceWith(...parts, text.data.slice(end));
      }
    }
  }

  function begin() {
    rewrite(document);
    linkify(document);
    new MutationObserver((all) => {
      for (const { type, target: at, addedNodes } of all) {
        if (type === 'attributes') rewrite(at);
        for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) { rewrite(node); linkify(node); }
      }
    }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ['href'] });
    new ResizeObserver(contentUpdated).observe(document.documentElement);
    contentUpdated();
    if (location.hash) requestAnimationFrame(() => requestAnimationFrame(show));
  }
  window.addEventListener('hashchange', show);
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', begin);
  else begin();
})();
