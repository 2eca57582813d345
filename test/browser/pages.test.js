// Uses the pages as people do. `make test-browser` starts a site and sets its address.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { DECK_URL: site, RUNNING, FAILED, JOB_HISTORY, CONFIG, SCREENSHOTS: shots, CHROMIUM = '/usr/bin/chromium' } = process.env;
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const PAGES = { list: '/', run: FAILED, live: RUNNING, tide: '/tide', history: '/tide-history', commands: '/command-help', plugins: '/plugins', missing: '/run/none', rerun: '/run/job-1/rerun', abort: '/run/running/abort', configured: '/configured-jobs', builds: JOB_HISTORY, pull: '/pr-history/?org=o&repo=r&pr=11' };
let browser;

before(async () => { browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] }); });
after(() => browser?.close());

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on('console', (m) => { if (m.type() === 'error' && !m.text().includes('404')) errors.push(m.text()); });
  page.on('pageerror', (e) => errors.push(String(e)));
  page.on('request', (r) => { if (!r.url().startsWith(site)) errors.push(`foreign request ${r.url()}`); });
  await page.goto(site + path);
  return { page, errors, close: () => context.close() };
}

for (const [name, path] of Object.entries(PAGES)) {
  for (const look of ['light', 'dark', 'narrow', 'noscript']) {
    test(`${name}, ${look}`, async () => {
      const { page, errors, close } = await open(path, {
        colorScheme: look === 'dark' ? 'dark' : 'light',
        javaScriptEnabled: look !== 'noscript',
        ...(look === 'narrow' ? { viewport: { width: 375, height: 720 } } : {}),
      });
      assert.ok(await page.locator('main').innerText());
      await page.screenshot({ path: `${shots}/${name}-${look}.png` });
      if (look !== 'noscript') {
        const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(width <= 0, `the page is ${width} pixels wider than the screen`);
        // The policy of the site forbids foreign scripts, so axe runs outside of it.
        const source = await readFile(axe, 'utf8');
        await page.evaluate(source);
        const { violations } = await page.evaluate(() => window.axe.run());
        assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
      }
      assert.deepEqual(errors, []);
      await close();
    });
  }
}

test('the filter works, with and without JavaScript, and back leads back', async () => {
  for (const javaScriptEnabled of [true, false]) {
    const { page, close } = await open('/', { javaScriptEnabled });
    await page.fill('input[name=job]', 'unit-*');
    await page.keyboard.press('Enter');
    await page.waitForURL(/job=unit-/);
    assert.equal(await page.locator('.jobs tbody tr').count(), 2);
    await page.goBack();
    assert.ok(await page.locator('.jobs tbody tr').count() > 2);
    await close();
  }
});

test('a search becomes a filter with an address of its own', async () => {
  const { page, errors, close } = await open('/');
  await page.keyboard.press('/');
  await page.keyboard.type('repo:o/r job:unit-*');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\?job=unit-\*&repo=o%2Fr$|\?job=unit-%2A&repo=o%2Fr$/);
  assert.equal(await page.locator('.jobs tbody tr').count(), 2);
  assert.equal(await page.inputValue('input[name=job]'), 'unit-*');
  await page.fill('input[name=q]', 'colour:red');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.problem');
  assert.match(await page.innerText('.problem'), /colour: cannot be searched for/);
  assert.deepEqual(errors.filter((e) => !e.includes('400')), []);
  await close();
});

test('the keyboard reaches the filter and the rows', async () => {
  const { page, close } = await open('/');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  assert.ok(await page.evaluate(() => document.activeElement.closest('.jobs tbody tr')));
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'q');
  await close();
});

test('a live log grows', async () => {
  const { page, errors, close } = await open(RUNNING);
  const first = await page.locator('.log .l').count();
  await page.waitForFunction((n) => document.querySelectorAll('.log .l').length > n + 3, first);
  const ids = await page.locator('.log .l').evaluateAll((rows) => rows.map((r) => Number(r.id.slice(1))));
  assert.deepEqual(ids, ids.map((_, i) => ids[0] + i), 'lines are in order and none is missing or doubled');
  assert.deepEqual(errors, []);
  await close();
});

test('a link to a line that is not at the end finds it', async () => {
  const { page, close } = await open(`${FAILED}#L41`);
  await page.waitForSelector('#L41.marked');
  await page.locator('#L44 > a').click({ modifiers: ['Shift'] });
  await page.waitForFunction(() => document.querySelectorAll('.marked').length === 4);
  assert.match(page.url(), /#L41-L44$/);
  await close();
});

test('a bad configuration is shown on a page that is open already', async () => {
  const { page, close } = await open('/');
  const good = await readFile(CONFIG, 'utf8');
  await writeFile(CONFIG, `${good}\nperiodics:\n- {name: broken, interval: soon, agent: kubernetes, spec: {containers: [{image: i}]}}\n`);
  await page.waitForSelector('.banner', { timeout: 20000 });
  await page.screenshot({ path: `${shots}/banner.png` });
  await writeFile(CONFIG, good);
  await page.waitForSelector('.banner', { state: 'detached', timeout: 20000 });
  await close();
});
