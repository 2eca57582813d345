// Shows lenses as people see them, and lets hostile ones try what they must not do.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { DECK_URL: site, RUN, USUAL, RAW, TALL, ARTIFACT, SCREENSHOTS: shots, CHROMIUM = '/usr/bin/chromium' } = process.env;
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const skip = RUN ? false : 'the site of TestBrowserSpyglass is needed';
let browser;

before(async () => { if (!skip) browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'], ignoreDefaultArgs: ['--disable-popup-blocking'] }); });
after(() => browser?.close());

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  await context.addCookies([{ name: 'session', value: 'secret', url: site }]);
  const page = await context.newPage();
  page.setDefaultTimeout(10000);
  const requests = []; // that were answered; what a policy holds back is not
  context.on('response', (r) => requests.push(`${r.request().method()} ${r.url()}`));
  if (path !== 'about:blank') await page.goto(path.startsWith('http') ? path : site + path);
  return { context, page, requests, close: () => context.close() };
}

const frameOf = async (page, index) => (await (await page.waitForSelector(`#lens-${index}:not(.loading) iframe`)).contentFrame());

// What a hostile script found out: it can read and reach nothing.
const powerless = {
  dom: 'refused', topDom: 'refused', cookie: 'refused', storage: 'refused', fetch: 'refused', fetchCors: 'refused', xhr: 'refused', script: 'refused', image: 'refused', popup: 'refused',
};

function assertPowerless(text) {
  const found = JSON.parse(text);
  for (const [name, want] of Object.entries(powerless)) assert.equal(found[name], want, `${name}: ${text}`);
}

test('a hostile lens and a hostile artifact reach nothing', { skip }, async () => {
  const { page, requests, close } = await open(RUN);
  const outer = await frameOf(page, 2);
  await outer.waitForSelector('#result');
  assertPowerless(await outer.innerText('#result'));
  const inner = await (await outer.waitForSelector('#inner')).contentFrame();
  await inner.waitForSelector('#result');
  assertPowerless(await inner.innerText('#result'));
  await page.waitForTimeout(500);
  assert.equal(page.url(), site + RUN, 'the page was led away');
  assert.deepEqual(requests.filter((r) => r.includes('/abort') || r.includes('var=') || r.includes('/leak')), []);
  await close();
});

test('what breaks out of a lens does not run', { skip }, async () => {
  const { page, requests, close } = await open(RUN);
  const frame = await frameOf(page, 0);
  assert.match(await frame.innerText('body'), /hostile output/);
  assert.equal(await frame.evaluate(() => document.body.dataset.ran), undefined);
  assert.deepEqual(requests.filter((r) => r.includes('var=')), []);
  await close();
});

test('a frame that is opened alone has no power either', { skip }, async () => {
  for (const path of [RAW, ARTIFACT]) {
    const { page, requests, close } = await open(path);
    assert.equal(await page.evaluate(() => self.origin), 'null');
    if (path === RAW) {
      await page.waitForSelector('#result');
      assertPowerless((await page.innerText('#result')).replace('"dom":"Raw"', '"dom":"refused"').replace(/"topDom":"(?:[^"\\]|\\.)*"/, '"topDom":"refused"'));
    }
    assert.deepEqual(requests.filter((r) => r.includes('/abort') || r.includes('var=')), []);
    await close();
  }
});

// until waits for something that several frames decide.
async function until(what) {
  for (const end = Date.now() + 15000; !await what();) {
    assert.ok(Date.now() < end, 'it never came to be');
    await new Promise((done) => { setTimeout(done, 100); });
  }
}

test('frames are as high as their content, in order, and two of one lens are apart', { skip }, async () => {
  const { page, close } = await open(RUN);
  for (const index of [1, 0, 2, 3, 4]) {
    const frame = await frameOf(page, index);
    await page.waitForFunction((i) => document.querySelector(`#lens-${i} iframe`).style.height, index);
    // Contents grow while they load.
    await until(async () => {
      const want = await frame.evaluate(() => Math.ceil(document.documentElement.getBoundingClientRect().height));
      const have = await page.evaluate((i) => document.querySelector(`#lens-${i} iframe`).offsetHeight, index);
      return Math.abs(have - want) <= 1;
    });
  }
  const titles = await page.locator('.lenses h2').allInnerTexts();
  assert.deepEqual(titles.map((s) => s.trim()), ['Tall', 'Breaking', 'Raw', 'Far', 'Tall again']);
  assert.equal(await page.locator('.lenses h2.visually-hidden').count(), 1);
  assert.equal(new Set(await page.locator('[id]').evaluateAll((all) => all.map((e) => e.id))).size, await page.locator('[id]').count());
  await close();
});

test('a lens asks, is shown anew and scrolls through the page', { skip }, async () => {
  const { page, close } = await open(RUN);
  const frame = await frameOf(page, 1);
  await frame.click('#ask');
  await frame.waitForFunction(() => document.getElementById('answer').textContent === 'answer to a question');
  await frame.click('#page');
  await frame.waitForFunction(() => document.getElementById('answer').textContent.includes('shown with asked'));
  await frame.click('#scroll');
  await frame.waitForFunction(() => document.getElementById('answer').textContent === 'scrolled');
  assert.ok(await page.evaluate(() => window.scrollY) > 100);
  assert.equal(await frame.locator('[href^="https://example.com"]').count(), 1);
  assert.equal(await frame.locator('img').count(), 0);
  const before = await page.locator('#lens-1 iframe').evaluate((f) => f.offsetHeight);
  await frame.click('#replace');
  await frame.waitForSelector('#fresh');
  assert.match(await frame.innerText('#lens'), /^shown with replaced$/);
  await page.waitForFunction((h) => document.querySelector('#lens-1 iframe').offsetHeight < h / 2, before);
  await close();
});

test('fragments lead into lenses, and back', { skip }, async () => {
  const { page, close } = await open(`${RUN}#1:row-30;4:row-5`);
  const frame = await frameOf(page, 1);
  const again = await frameOf(page, 4);
  assert.equal(await frame.evaluate(() => location.hash), '#row-30');
  assert.equal(await again.evaluate(() => location.hash), '#row-5');
  await frame.click('#row-20 a');
  await page.waitForFunction(() => location.hash === '#1:row-20;4:row-5');
  assert.equal(await frame.getAttribute('#row-20 a', 'href'), `${site}${RUN}#1:row-20`);
  // A change in the address bar reaches the lens.
  await page.evaluate(() => { location.hash = '#1:row-33'; });
  await frame.waitForFunction(() => location.hash === '#row-33');
  await page.waitForFunction(() => {
    const top = document.querySelector('#lens-1 iframe').getBoundingClientRect().top;
    return top < -200;
  });
  await close();
});

test('a lens of an endpoint talks with the page', { skip }, async () => {
  const { page, close } = await open(RUN);
  const frame = await frameOf(page, 3);
  await frame.waitForFunction(() => document.getElementById('remote').textContent === '<!doctype html>');
  assert.notEqual(await frame.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--text')), '', 'its style sheet is not loaded');
  await close();
});

test('messages of others are not listened to', { skip }, async () => {
  const { page, close } = await open(RUN);
  await frameOf(page, 1);
  const height = await page.locator('#lens-1 iframe').evaluate((f) => f.offsetHeight);
  await page.evaluate(() => window.postMessage({ id: 1, message: { type: 'contentUpdated', height: 7 } }, '*'));
  const inner = await (await (await frameOf(page, 2)).waitForSelector('#inner')).contentFrame();
  await inner.evaluate(() => top.postMessage({ id: 1, message: { type: 'updateHash', hash: 'evil' } }, '*'));
  await page.waitForTimeout(200);
  assert.equal(await page.locator('#lens-1 iframe').evaluate((f) => f.offsetHeight), height);
  assert.equal(new URL(page.url()).hash, '');
  await close();
});

test('without JavaScript a lens is a link', { skip }, async () => {
  const { page, close } = await open(RUN, { javaScriptEnabled: false });
  assert.equal(await page.locator('iframe').count(), 0);
  await page.screenshot({ path: `${shots}/spyglass-noscript.png`, fullPage: true });
  await page.click('text=Show Tall');
  assert.match(await page.innerText('main'), /Row 39/);
  await close();
});

for (const look of ['light', 'dark', 'narrow']) {
  test(`the page with lenses, ${look}`, { skip }, async () => {
    const { page, close } = await open(RUN, { colorScheme: look === 'dark' ? 'dark' : 'light', ...(look === 'narrow' ? { viewport: { width: 375, height: 720 } } : {}) });
    for (const index of [1, 0, 2, 3, 4]) await frameOf(page, index);
    await page.screenshot({ path: `${shots}/spyglass-${look}.png`, fullPage: true });
    const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(width <= 0, `the page is ${width} pixels wider than the screen`);
    const source = await readFile(axe, 'utf8');
    const { violations } = await page.evaluate(`${source}; window.axe.run({ iframes: false })`);
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
    const frame = await frameOf(page, 1);
    const background = await frame.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    assert.equal(background, look === 'dark' ? 'rgb(20, 24, 29)' : 'rgb(255, 255, 255)');
    await close();
  });
}

test('a lens alone has no violations', { skip }, async () => {
  const { page, close } = await open(TALL);
  const source = await readFile(axe, 'utf8');
  const { violations } = await page.evaluate(`${source}; window.axe.run()`);
  assert.deepEqual(violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
  await close();
});

for (const look of ['light', 'dark']) {
  test(`every built-in lens is shown, ${look}`, { skip }, async () => {
    const { page, close } = await open('about:blank', { viewport: { width: 1280, height: 2600 }, colorScheme: look });
    const errors = [];
    page.on('console', (m) => { if (m.type() === 'error') errors.push(m.text()); });
    page.on('pageerror', (e) => errors.push(String(e)));
    await page.goto(USUAL);
    for (const index of [1, 2, 3, 4, 5, 7, 8]) {
      await page.locator(`#lens-${index}`).scrollIntoViewIfNeeded();
      const frame = await frameOf(page, index);
      assert.ok((await frame.innerText('body')).trim(), `lens ${index} is empty`);
    }
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.waitForTimeout(500);
    await page.screenshot({ path: `${shots}/spyglass-usual-${look}.png` });
    assert.deepEqual(errors, []);
    await page.goto(`${USUAL}#6:build-log.txt%3A17`);
    await page.waitForSelector('#L17.marked');
    await close();
  });
}
