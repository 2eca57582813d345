// Reads logs as people do: searches, folds, goes to lines and follows what is written.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { DECK_URL: site, LONG_LOG: LONG, TWO_LOGS: TWO, LIVE_LOG: LIVE, SCREENSHOTS: shots, CHROMIUM = '/usr/bin/chromium' } = process.env;
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
let browser;

before(async () => { browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] }); });
after(() => browser?.close());

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const page = await context.newPage();
  const errors = [];
  page.on('console', (m) => { if (m.type() === 'error') errors.push(m.text()); });
  page.on('pageerror', (e) => errors.push(String(e)));
  page.on('request', (r) => { if (!r.url().startsWith(site)) errors.push(`foreign request ${r.url()}`); });
  page.on('dialog', (d) => { errors.push(`a dialog: ${d.message()}`); d.dismiss(); });
  await page.goto(site + path);
  return { page, errors, close: async () => { assert.deepEqual(errors, []); await context.close(); } };
}

async function accessible(page) {
  // The policy of the site forbids foreign scripts, so axe runs outside of it.
  await page.evaluate(await readFile(axe, 'utf8'));
  // Lines are all alike: of a thousand, some are enough.
  const { violations } = await page.evaluate(() => window.axe.run({ exclude: [['.log .l:nth-child(n+40)']] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
  const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(width <= 0, `the page is ${width} pixels wider than the screen`);
}

const visible = (page, number) => page.waitForFunction((n) => {
  const box = document.getElementById(`L${n}`)?.getBoundingClientRect();
  return box && box.top >= 0 && box.bottom <= window.innerHeight;
}, number);

for (const look of ['light', 'dark', 'narrow']) {
  test(`a search, ${look}`, async () => {
    const { page, close } = await open(LONG, {
      colorScheme: look === 'dark' ? 'dark' : 'light',
      ...(look === 'narrow' ? { viewport: { width: 375, height: 720 } } : {}),
    });
    await page.fill('[name=q]', 'fail');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.hits .hit-list li.current');
    await visible(page, 4711);
    assert.equal(await page.locator('.hits .hit-list li').count(), 2);
    assert.match(await page.innerText('.hits-status'), /hit 1 of 2 lines found/);
    await page.screenshot({ path: `${shots}/log-search-${look}.png` });
    await accessible(page);
    await close();
  });

  test(`highlights, ${look}`, async () => {
    const { page, close } = await open(`${LONG}?view=highlights`, {
      colorScheme: look === 'dark' ? 'dark' : 'light',
      ...(look === 'narrow' ? { viewport: { width: 375, height: 720 } } : {}),
    });
    assert.equal(await page.locator('.log .l').count(), 22);
    assert.equal(await page.locator('.log .l.high').count(), 2);
    await page.screenshot({ path: `${shots}/log-highlights-${look}.png` });
    await accessible(page);
    await close();
  });
}

test('a search goes from hit to hit by the keyboard, back leads back, and Escape ends it', async () => {
  const { page, close } = await open(LONG);
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'q');
  await page.keyboard.type('FAIL');
  await page.keyboard.press('Enter');
  await visible(page, 4711);
  assert.match(page.url(), /#L4711$/);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('n');
  await visible(page, 15000);
  await page.keyboard.press('n');
  await visible(page, 4711);
  await page.keyboard.press('Shift+N');
  await visible(page, 15000);
  await page.goBack();
  await visible(page, 4711);
  assert.ok(await page.locator('#L4711.hit.marked').count());
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.hits').isVisible(), false);
  await close();
});

test('an expression, a bad one, and more hits than come at once', async () => {
  const { page, close } = await open(LONG);
  await page.fill('[name=q]', '^a need[a-z]+ <IMG');
  await page.check('[name=re]');
  await page.keyboard.press('Enter');
  await visible(page, 9000);
  assert.match(await page.innerText('.hits .hit-list li'), /9000\s*a needle <img src=x onerror=alert\(1\)> click/);
  assert.equal(await page.locator('#L9000 a[href^="javascript"], #L9000 img').count(), 0);
  await page.fill('[name=q]', 'step');
  await page.uncheck('[name=re]');
  await page.click('[data-log-search] button');
  await page.waitForFunction(() => document.querySelectorAll('.hits .hit-list li').length === 1000);
  await page.click('text=Search on');
  await page.waitForFunction(() => document.querySelectorAll('.hits .hit-list li').length === 2000);
  await close();
  const bad = await open(LONG);
  await bad.page.fill('[name=q]', '(');
  await bad.page.check('[name=re]');
  await bad.page.click('[data-log-search] button');
  await bad.page.waitForFunction(() => /cannot be read/.test(document.querySelector('.hits-status').textContent));
  bad.errors.length = 0; // the browser tells of the 400
  await bad.close();
});

test('hidden lines are shown ten, a hundred or all at a time', async () => {
  const { page, close } = await open(`${LONG}?view=highlights`);
  const first = page.locator('.fold').first();
  assert.match(await first.innerText(), /4705 lines hidden/);
  await first.getByRole('button', { name: 'Show the last 10 of' }).click();
  await page.waitForSelector('#L4696');
  assert.match(await page.locator('.fold').first().innerText(), /4695 lines hidden/);
  await page.locator('.fold').first().getByRole('button', { name: 'Show the last 100 of' }).click();
  await page.waitForSelector('#L4596');
  const last = page.locator('.fold').last();
  await last.getByRole('button', { name: 'Show the first 100 of' }).click();
  await page.waitForSelector('#L15105');
  await last.getByRole('button', { name: 'Show all' }).click();
  await page.waitForSelector('#L20000');
  assert.equal(await page.locator('.fold').count(), 2);
  await close();
});

test('a line is gone to, and the parts around it follow', async () => {
  const { page, close } = await open(LONG);
  await page.fill('[name=line]', '9000');
  await page.keyboard.press('Enter');
  await visible(page, 9000);
  assert.match(page.url(), /#L9000$/);
  assert.equal(await page.locator('.log .l').count(), 1000);
  await page.click('[data-more=up]');
  await page.waitForSelector('#L7900');
  await page.click('[data-more=down]');
  await page.waitForSelector('#L10899');
  await page.fill('[name=line]', '99999');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /no line 99999/.test(document.querySelector('[data-counting]')?.textContent));
  await close();
});

test('links to lines and ranges, of today and of the past, lead to the lines', async () => {
  for (const [hash, from, to] of [['#L41', 41, 41], ['#L41-L44', 41, 44], ['#L44-41', 41, 44], ['#1:build-log.txt%3A9000', 9000, 9000], ['#build-log.txt:15000-15003', 15000, 15003], ['#build-log.txt:15003-15000', 15000, 15003]]) {
    const { page, close } = await open(LONG + hash);
    await page.waitForFunction(([a, n]) => document.querySelectorAll('.marked').length === n && document.querySelector('.marked').id === `L${a}`, [from, to - from + 1]);
    await visible(page, from);
    assert.match(page.url(), hash.includes('build-log') ? new RegExp(from === to ? `#L${from}$` : `#L${hash.endsWith('15000') ? `15003-L15000|L${from}-L${to}` : `${from}-L${to}`}`) : new RegExp(`${hash}$`));
    await close();
  }
  const { page, close } = await open(`${TWO}#0:setup-build-log.txt%3A77`);
  await page.waitForURL(/container=setup#L77$/);
  await visible(page, 77);
  assert.match(await page.innerText('#L77'), /setup number 77/);
  await close();
});

test('a range is marked with the shift key, and its link is copied', async () => {
  const { page, close } = await open(`${TWO}?container=setup&from=1`);
  await page.locator('#L10 > a').click();
  await page.locator('#L13 > a').click({ modifiers: ['Shift'] });
  await page.waitForFunction(() => document.querySelectorAll('.marked').length === 4);
  await page.click('[data-copy-link]');
  await page.waitForFunction(() => document.querySelector('[data-copy-link]').textContent === 'Copied');
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(link, `${site}${TWO}?container=setup#L10-L13`);
  await page.goto(link);
  await visible(page, 10);
  await close();
});

test('addresses in lines are links, and nothing else is', async () => {
  const { page, close } = await open(`${LONG}#L4711`);
  await visible(page, 4711);
  assert.deepEqual(await page.locator('#L4711 > span a').evaluateAll((links) => links.map((a) => [a.textContent, a.rel])), [['https://example.com/', 'noopener noreferrer nofollow']]);
  assert.match(await page.innerText('#L4711'), /<b>\?a=1&b=2/);
  assert.equal(await page.locator('#L4711 .fg-red').innerText(), '--- FAIL');
  await close();
});

test('long lines wrap or do not, as the viewer chose', async () => {
  const { page, close } = await open(LONG, { viewport: { width: 600, height: 700 } });
  const height = () => page.locator('.log .l').first().evaluate((row) => row.getBoundingClientRect().height);
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.locator('.log .l').first().scrollIntoViewIfNeeded();
  const wrapped = await height();
  await page.uncheck('[data-wrap]');
  assert.ok(await height() < wrapped);
  await page.reload();
  assert.equal(await page.isChecked('[data-wrap]'), false);
  await close();
});

test('two pages follow the same log, without gaps', async () => {
  const pages = await Promise.all([open(LIVE), open(LIVE)]);
  for (const { page } of pages) {
    const first = await page.locator('.log .l').count();
    await page.waitForFunction((n) => document.querySelectorAll('.log .l').length > n + 5, first);
    const ids = await page.locator('.log .l').evaluateAll((rows) => rows.map((r) => Number(r.id.slice(1))));
    assert.deepEqual(ids, ids.map((_, i) => ids[0] + i), 'lines are in order and none is missing or doubled');
    await page.check('[data-follow]');
    await page.waitForFunction(() => window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 150);
    await accessible(page);
  }
  // One goes to the beginning, where the end is not put behind it, and comes back.
  const { page } = pages[0];
  await page.fill('[name=line]', '10');
  await page.keyboard.press('Enter');
  await visible(page, 10);
  await page.waitForTimeout(500);
  assert.equal(await page.locator('.log .l').count(), 1000);
  await page.check('[data-follow]');
  await page.waitForFunction(() => [...document.querySelectorAll('.log .l')].pop()?.textContent.includes('tick'));
  await Promise.all(pages.map((p) => p.close()));
});

test('without JavaScript a log is searched, paged, folded and gone to', async () => {
  const { page, close } = await open(LONG, { javaScriptEnabled: false });
  await page.fill('[name=q]', 'needle');
  await page.click('[data-log-search] button');
  await page.screenshot({ path: `${shots}/log-noscript.png` });
  assert.match(await page.innerText('.found'), /1 line found, 20000 searched/);
  assert.equal(await page.inputValue('[name=q]'), 'needle');
  await page.click('text=Line 9000');
  assert.match(page.url(), /line=9000#L9000$/);
  assert.ok(await page.locator('#L9000.marked').count());
  await page.click('text=↓ Later');
  assert.ok(await page.locator('#L9900').count());
  await page.click('text=Highlights');
  assert.match(await page.innerText('.log'), /4705 lines hidden/);
  await page.click('text=4705 lines hidden');
  assert.ok(await page.locator('#L1').count());
  await page.fill('[name=line]', '15000');
  await page.click('[data-log-jump] button');
  assert.ok(await page.locator('#L15000.marked').count());
  await close();
});
