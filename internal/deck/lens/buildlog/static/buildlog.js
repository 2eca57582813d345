// Loads hidden lines, chooses lines, and pins them.
'use strict';
(() => {
  let picked = null; // { artifact, from, to }, lines from 1

  const sections = () => [...document.querySelectorAll('.artifact')];
  const section = (artifact) => sections().find((s) => s.dataset.artifact === artifact);
  const lineOf = (artifact, n) => document.getElementById(`${artifact}:${n}`);
  const escaped = (artifact) => artifact.split('/').map(encodeURIComponent).join('/');

  function say(box, text, link) {
    const line = box.querySelector('.say');
    line.hidden = !text;
    line.textContent = text;
    if (link) {
      const a = Object.assign(document.createElement('a'), { href: link, target: '_blank', rel: 'noreferrer noopener', textContent: 'more' });
      line.append(' ', a);
    }
    spyglass.contentUpdated();
  }

  // Asks for lines. What is no list of lines is a sentence that tells why.
  async function ask(box, question) {
    try {
      const html = await spyglass.request(JSON.stringify({ artifact: box.dataset.artifact, ...question }));
      if (html.startsWith('<div class="')) { say(box, ''); return html; }
      say(box, html || 'There are no such lines.');
    } catch (error) {
      say(box, `That did not work: ${error.message}`);
    }
    return null;
  }

  async function expand(group, more) {
    const box = group.closest('.artifact');
    const { offset, length, start, end } = group.dataset;
    const hadFocus = group.contains(document.activeElement); // a disabled button loses it
    for (const button of group.querySelectorAll('button')) button.disabled = true;
    const html = await ask(box, { offset: Number(offset), length: Number(length), startLine: Number(start), endLine: Number(end), ...more });
    for (const button of group.querySelectorAll('button')) button.disabled = false;
    if (html === null) return;
    const before = group.previousElementSibling;
    group.insertAdjacentHTML('beforebegin', html);
    const first = before ? before.nextElementSibling : group.parentElement.firstElementChild;
    group.remove();
    if (hadFocus) first.querySelector('a, button')?.focus({ preventScroll: true });
    paint();
    spyglass.contentUpdated();
  }

  function paint() {
    for (const line of document.querySelectorAll('.l.picked')) line.classList.remove('picked');
    for (const button of document.querySelectorAll('[data-do="pin"]')) {
      button.disabled = button.closest('.artifact').dataset.artifact !== picked?.artifact;
    }
    if (!picked) return;
    for (let n = picked.from; n <= Math.min(picked.to, picked.from + 20000); n++) lineOf(picked.artifact, n)?.classList.add('picked');
  }

  // A fragment is <artifact>:<line> or <artifact>:<line>-<line>.
  function parse(hash) {
    let text = hash.replace(/^#/, '');
    try { text = decodeURIComponent(text); } catch { /* as it is */ }
    const match = /^(.*):(\d{1,9})(?:-(\d{1,9}))?$/s.exec(text);
    if (!match || !section(match[1])) return null;
    const ends = [Number(match[2]), Number(match[3] ?? match[2])].sort((a, b) => a - b);
    return ends[0] > 0 ? { artifact: match[1], from: ends[0], to: ends[1] } : null;
  }

  async function follow(scroll) {
    picked = parse(location.hash);
    paint();
    if (!picked) return;
    const { artifact, from, to } = picked;
    const hidden = [...section(artifact).querySelectorAll('.g')].filter((g) => Number(g.dataset.start) < to && Number(g.dataset.end) >= from);
    for (const group of hidden.slice(0, 5)) {
      await expand(group, { around: Math.max(from, Number(group.dataset.start) + 1), aroundEnd: to });
    }
    const line = lineOf(artifact, from);
    if (line && scroll) {
      const box = line.getBoundingClientRect();
      spyglass.scrollTo(box.left, box.top);
    }
  }

  function choose(artifact, from, to) {
    [from, to] = [Math.min(from, to), Math.max(from, to)];
    const hash = `${escaped(artifact)}:${from}${to > from ? `-${to}` : ''}`;
    spyglass.updateHash?.(hash);
    location.replace(`${location.href.split('#')[0]}#${hash}`);
  }

  const actions = {
    async all(box) {
      const html = await ask(box, { offset: 0, length: -1 });
      if (html !== null) box.querySelector('.log').innerHTML = html;
      paint();
    },
    async analyze(box) {
      let found;
      say(box, 'The highlighter looks at the log …');
      try { found = JSON.parse(await spyglass.request(JSON.stringify({ artifact: box.dataset.artifact, analyze: true }))); } catch (error) { found = { error: error.message }; }
      if (found.error) { say(box, `The highlighter found nothing: ${found.error}`); return; }
      say(box, `The lines ${found.min} to ${found.max} matter${found.pinned ? '; they are pinned now' : ''}.`, found.link);
      choose(box.dataset.artifact, found.min, found.max);
    },
    pin: (box) => pin(box, picked.from, picked.to),
    unpin: (box) => pin(box, 0, 0),
  };

  async function pin(box, from, to) {
    const name = box.dataset.artifact;
    let problem;
    try { problem = await spyglass.request(JSON.stringify({ artifact: name, startLine: from, saveEnd: to })); } catch (error) { problem = error.message; }
    if (problem) { say(box, problem); return; }
    await spyglass.updatePage('');
    paint();
    say(section(name), to ? 'These lines are pinned: everybody sees them first.' : 'No lines are pinned any more.');
  }

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('button');
    const number = event.target.closest('.l > a');
    if (number && event.shiftKey && picked) {
      const [, artifact, n] = /^(.*):(\d+)$/s.exec(number.parentElement.id);
      if (artifact !== picked.artifact) return;
      event.preventDefault();
      getSelection()?.removeAllRanges();
      choose(artifact, picked.from, Number(n));
    } else if (button?.dataset.expand) {
      const n = 10 * 10 ** [event.shiftKey, event.ctrlKey || event.metaKey, event.altKey].filter(Boolean).length;
      const how = button.dataset.expand;
      await expand(button.closest('.g'), how === 'all' ? {} : { [how]: n });
    } else if (button?.dataset.do) {
      button.disabled = true;
      await actions[button.dataset.do](button.closest('.artifact'));
      button.disabled = false;
      paint();
      spyglass.contentUpdated();
    }
  });
  window.addEventListener('hashchange', () => follow(true));
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', () => follow(true));
  else follow(true);
})();
