// Searches the whole log on the server. "/" goes to the field, "n" and "N" from hit to hit.
export function search(log) {
  const { root, data } = log;
  const form = root.querySelector('[data-log-search]');
  const panel = root.querySelector('[data-hits]');
  if (!form || !panel) return;
  let hits = [];
  let at = -1;
  let running = null;
  let size = 0;

  const status = document.createElement('p');
  status.className = 'hits-status';
  status.setAttribute('role', 'status');
  const list = document.createElement('ol');
  list.className = 'hit-list';
  list.tabIndex = 0;
  list.setAttribute('aria-label', 'Lines found');
  const tools = document.createElement('div');
  tools.className = 'hits-tools';
  const button = (text, label, act) => {
    const b = document.createElement('button');
    b.type = 'button';
    b.textContent = text;
    b.setAttribute('aria-label', label);
    b.addEventListener('click', act);
    tools.append(b);
    return b;
  };
  tools.append(status);
  button('↑', 'Previous hit (N)', () => step(-1)).setAttribute('aria-keyshortcuts', 'Shift+N');
  button('↓', 'Next hit (n)', () => step(1)).setAttribute('aria-keyshortcuts', 'N');
  const on = button('Search on', 'Search the rest of the log', () => run(false));
  button('✕', 'Close the search', close);
  panel.append(tools, list);

  function close() {
    running?.abort();
    running = null;
    panel.hidden = true;
    hits = [];
    list.replaceChildren();
    for (const row of log.element.querySelectorAll('.hit')) row.classList.remove('hit');
  }

  function tell(state) {
    const found = `${hits.length} ${hits.length === 1 ? 'line' : 'lines'} found`;
    const where = at >= 0 ? `hit ${at + 1} of ` : '';
    const how = state?.complete ? '' : `, ${(state?.next || 0).toLocaleString('en')} lines searched${running ? ' …' : ''}`;
    status.textContent = where + found + how;
  }

  let state = null;
  async function run(anew = true) {
    running?.abort();
    if (anew) {
      close();
      state = null;
      at = -1;
    }
    const mine = new AbortController();
    running = mine;
    panel.hidden = false;
    on.hidden = true;
    tell(state);
    const query = { q: form.elements.q.value, ...(form.elements.re.checked ? { re: 1 } : {}), ...(form.elements.case.checked ? { case: 1 } : {}) };
    try {
      const answer = await fetch(`${data.searchUrl}?${log.params({ ...query, from: state?.next || 0 })}`, { signal: mine.signal });
      if (!answer.ok) { running = null; status.textContent = (await answer.text()).trim(); return; }
      for await (const event of events(answer.body)) {
        if (event.hit) add(event.hit);
        if (event.problem) { status.textContent = event.problem; running = null; return; }
        state = event.end || event.progress || state;
        if (event.end) { running = null; on.hidden = event.end.complete; }
        tell(state);
      }
      if (anew && at < 0 && hits.length) step(1);
    } catch (error) {
      if (error.name === 'AbortError') return;
      running = null;
      status.textContent = 'The search broke off.';
    }
  }

  function add(hit) {
    const index = hits.push(hit) - 1;
    const row = document.createElement('li');
    const link = document.createElement('a');
    link.href = `#L${hit.line}`;
    link.textContent = hit.line;
    link.setAttribute('aria-label', `Line ${hit.line}`);
    link.addEventListener('click', (event) => { event.preventDefault(); go(index); });
    const text = document.createElement('code');
    text.innerHTML = hit.html; // escaped by the server; only mark
    row.title = [...hit.before, '', ...hit.after].join('\n');
    row.append(link, text);
    list.append(row);
    log.row(hit.line)?.classList.add('hit');
  }

  async function go(index) {
    list.children[at]?.classList.remove('current');
    at = index;
    list.children[at].classList.add('current');
    list.children[at].scrollIntoView({ block: 'nearest' });
    tell(state);
    await log.goTo(hits[at].line);
  }

  log.decorate = () => {
    const found = new Set(hits.map((h) => h.line));
    for (const row of log.element.querySelectorAll('.l[id]')) if (found.has(Number(row.id.slice(1)))) row.classList.add('hit');
  };

  function step(by) {
    if (hits.length) go((at + by + hits.length) % hits.length);
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (form.elements.q.value) run();
  });
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.closest('input, select, textarea, [contenteditable]');
    if (event.key === 'Escape' && (!field || field === form.elements.q) && !panel.hidden) { close(); return; }
    if (field) return;
    if (event.key === '/') {
      event.preventDefault();
      form.elements.q.focus();
      form.elements.q.select();
    } else if (event.key === 'n') step(1);
    else if (event.key === 'N') step(-1);
  });
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (held + value).split('\n');
    held = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}
