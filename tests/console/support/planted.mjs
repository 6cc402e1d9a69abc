// Faults that are planted into the console's files and answers, to see that the tests find them: `npm run faults`.
// Each is a mistake that somebody could make, and names the tests that must fail then.

const css = (text) => ({ 'style.css': (file) => `${file}\n${text}\n` });
const script = (text) => ({ 'main.js': (file) => `${file}\n${text}\n` });
const answer = (path, change) => ({ [path]: change });
const submitted = (use) => script(`document.addEventListener('input', ({ target }) => { if (target.name === 'token' && target.value) { const token = target.value; ${use} } }, true);`);

export const FAULTS = {
  // --- all views
  'something from elsewhere': { file: 'views', grep: 'sample keys is there', files: script("new Image().src = 'https://example.com/pixel.png';") },
  'an inline style': { file: 'views', grep: 'sample keys is there', files: { 'index.html': (page) => page.replace('<body>', '<body style="margin: 0">') } },
  'an exception': { file: 'views', grep: 'sample token is there', files: script("setTimeout(() => { throw new Error('planted'); }, 50);") },
  'small text': { file: 'views', grep: 'is there', files: css('main p, main td, main button { font-size: 12px !important; }') },
  'no heading': { file: 'views', grep: 'sample overview is there', files: css('h1 { display: none; }') },
  'a view without a link': { file: 'views', grep: 'sample clients is there', files: script("setTimeout(() => document.querySelector('#views li:last-child').remove());") },
  'one title for all': { file: 'views', grep: 'a title of its own', files: script("new MutationObserver(() => { if (document.title !== 'jeton') document.title = 'jeton'; }).observe(document.querySelector('title'), { childList: true });") },
  'pale text': { file: 'views', grep: 'light axe finds nothing serious in keys', files: css('main * { color: #aaa !important; }') },
  'pale text in the dark': { file: 'views', grep: 'dark axe finds nothing serious in clients', files: css('@media (prefers-color-scheme: dark) { main * { color: #555 !important; } }') },
  'a field without a label': { file: 'views', grep: 'light axe finds nothing serious in token', files: script("setInterval(() => { for (const one of document.querySelectorAll('textarea')) { one.removeAttribute('placeholder'); one.removeAttribute('title'); one.removeAttribute('aria-label'); const label = one.closest('label'); if (label) label.replaceWith(one); } }, 20);") },
  'a pale detail': { file: 'views', grep: 'light axe finds nothing serious in what opens', files: css('[data-testid="detail"] * { color: #bbb !important; }') },
  'light in the dark': { file: 'views', grep: 'dark the page has the colours', files: css(':root, body { background: #fff !important; }') },
  'too wide for a phone': { file: 'views', grep: 'on a phone', files: css('main { min-width: 500px; }') },
  'a menu that is gone': { file: 'views', grep: 'the other views can be reached', files: css('header nav, header button { display: none !important; }') },
  'a focus that nobody sees': { file: 'views', grep: 'the tab key reaches', files: css('* { outline: none !important; box-shadow: none !important; }') },
  'a link for the mouse alone': { file: 'views', grep: 'the tab key reaches', files: script("setInterval(() => document.querySelector('main button, main a')?.addEventListener('focus', ({ target }) => target.blur()), 20);") },
  'names as markup': {
    file: 'views', grep: 'hostile names are texts',
    files: { 'dom.js': (file) => file.replace('element.append(...nodes(children));', "for (const one of nodes(children)) { if (typeof one === 'string') element.insertAdjacentHTML('beforeend', one); else element.append(one); }") },
  },
  'names that turn the line': { file: 'views', grep: 'shown whole and isolated', files: css('* { unicode-bidi: normal !important; }') },
  'a client that is left out': { file: 'views', grep: 'shown whole and isolated', answers: answer('api/clients', (json) => { json.clients.splice(3, 1); }) },
  'a large file': { file: 'views', grep: 'all files together', files: css(`/* ${Array.from({ length: 9000 }, (_, at) => (at * 7919 % 100_003).toString(36)).join(' ')} ${'x'.repeat(120_000)} */`) },
  'no policy of contents': { file: 'views', grep: 'the answers forbid', headers: (headers) => { delete headers['content-security-policy']; } },
  'answers that are stored': { file: 'views', grep: 'the answers forbid', headers: (headers) => { headers['cache-control'] = 'max-age=60'; } },

  // --- the matrix
  'a wrong cell': { file: 'matrix', grep: 'each cell of the sample', answers: answer('api/matrix', ({ routes }) => { routes[1].access[0] = routes[1].access[0] === 1 ? 0 : 1; }) },
  'a wrong condition': { file: 'matrix', grep: "each cell of the sample's orders", answers: answer('api/matrix', ({ conditions }) => { conditions[0] = `${conditions[0]} or any`; }) },
  'wrong cells of the big matrix': { file: 'matrix', grep: '2,000 cells', answers: answer('api/matrix', ({ routes }) => { routes.forEach(({ access }) => access.unshift(access.pop())); }) },
  'a wrong cell in the answer': { file: 'matrix', grep: 'holds every cell', answers: answer('api/matrix', ({ routes }) => { routes.at(-1).access[1] = routes.at(-1).access[1] === 0 ? 1 : 0; }) },
  'columns that are missing': { file: 'matrix', grep: 'every corner', answers: answer('api/matrix', (json) => { json.clients.splice(400); json.routes.forEach((route) => route.access.splice(400)); }) },
  'heads that scroll away': { file: 'matrix', grep: 'stay in view', files: css('.grid-top { position: static !important; }') },
  'routes that scroll away': { file: 'matrix', grep: 'stay in view', files: css('.grid-head { position: static !important; }') },
  'colour alone': { file: 'matrix', grep: 'without colour', files: script("setInterval(() => document.querySelectorAll('[data-access]').forEach((one) => { one.textContent = '\\u25a0'; one.removeAttribute('aria-label'); }), 10);") },
  'a detail without YAML': { file: 'matrix', grep: 'opens its rule', answers: answer('api/cell', ({ rule }) => { rule.text = []; }) },
  'a wrong least': { file: 'matrix', grep: 'the least that is missing', answers: answer('api/cell', (json) => { if (json.least) json.least = { missing: ['scope orders:read'], how: ['grant scope `orders:read`'], held_by: [], held_by_count: 0 }; }) },
  'a detail that stays': { file: 'matrix', grep: 'Enter and Escape', files: script("addEventListener('keydown', (event) => { if (event.key === 'Escape') event.stopPropagation(); }, true);") },
  'a focus that is lost': { file: 'matrix', grep: 'Enter and Escape', files: script("addEventListener('keyup', (event) => { if (event.key === 'Escape') document.activeElement.blur(); }, true); addEventListener('keydown', (event) => { if (event.key === 'Escape') queueMicrotask(() => document.activeElement.blur()); });") },
  'a filter that does nothing': { file: 'matrix', grep: 'filters leave', files: script("addEventListener('input', (event) => { if (event.target.type === 'search') event.stopPropagation(); }, true);") },

  // --- explain, routes, diff
  'a wrong verdict': { file: 'explain', grep: 'is explained as by the command', answers: answer('api/explain', (json) => { json.allowed = !json.allowed; }) },
  'a condition that is left out': { file: 'explain', grep: '/tenants/globex/orders is explained', answers: answer('api/explain', ({ alternatives }) => { alternatives[0]?.conditions.pop(); }) },
  'another answer than the command': { file: 'explain', grep: 'are those of the command', answers: answer('api/explain', (json) => { json.hint = 'planted'; }) },
  'marks by colour': { file: 'explain', grep: 'told from those that do not', answers: answer('api/explain', ({ alternatives }) => alternatives.forEach(({ conditions }) => conditions.forEach((one) => { one.holds = false; }))) },
  'no history': { file: 'explain', grep: 'an entry of the history', files: { 'main.js': (file) => file.replace('else location.hash = to;', "else { history.replaceState(null, '', to); show(); }") } },
  'a form for the mouse': { file: 'explain', grep: 'keyboard alone', files: script("addEventListener('keydown', (event) => { if (event.key === 'Enter') event.preventDefault(); }, true);") },
  'a fault that is silent': { file: 'explain', grep: 'with the field', files: script("new MutationObserver(() => document.querySelectorAll('[role=alert]').forEach((one) => one.remove())).observe(document, { childList: true, subtree: true });") },
  'routes without rules': { file: 'explain', grep: 'routes show', answers: answer('api/routes', ({ routes }) => routes.forEach((one) => { one.rule = 'x'; })) },
  'a change that is left out': { file: 'diff', grep: 'that of the command', answers: answer('api/diff', ({ difference }) => { difference?.changes.pop(); }) },
  'a gain that is a loss': { file: 'diff', grep: 'that of the command', answers: answer('api/diff', ({ difference }) => { const gain = difference?.changes.find(({ effect }) => effect === 'gains'); if (gain) gain.effect = 'loses'; }) },
  'sides the wrong way round': { file: 'diff', grep: 'a folder is the new side', answers: answer('api/diff', ({ difference }) => difference?.changes.forEach((one) => { one.effect = { gains: 'loses', loses: 'gains' }[one.effect] ?? one.effect; })) },
  'a revision that is silent': { file: 'diff', grep: 'a Git revision', answers: answer('api/diff', (json) => { json.findings = []; json.why = null; }) },
  'a hint that is missing': { file: 'diff', grep: 'how to name one', files: script("new MutationObserver(() => document.querySelectorAll('main code, main p').forEach((one) => { if (/compare/.test(one.textContent)) one.remove(); })).observe(document, { childList: true, subtree: true });") },
  'clients that are not named': { file: 'diff', grep: 'by client', answers: answer('api/diff', ({ difference }) => difference?.changes.forEach((one) => { if (one.who.client) one.who.client = 'somebody'; })) },

  // --- overview, keys, clients
  'another signing key': { file: 'state', grep: 'what is served', answers: answer('api/overview', (json) => { json.signing.kid = 'planted-kid'; }) },
  'a problem that is silent': { file: 'state', grep: 'problems come first', answers: answer('api/overview', (json) => { json.problems = []; json.policies.last_rejection = null; }) },
  'a key that is left out': { file: 'state', grep: 'with its state', answers: answer('api/keys', (json) => { json.keys.pop(); }) },
  'a wrong state': { file: 'state', grep: 'with its state', answers: answer('api/keys', (json) => { json.keys.forEach((key) => { if (key.state === 'retired') key.state = 'next'; }); }) },
  'a key that does not come': { file: 'state', grep: 'follows an order', answers: answer('api/keys', (json) => { json.keys = json.keys.filter(({ state }) => state === 'active'); }) },
  'a client that is missing': { file: 'state', grep: 'each client is there', answers: answer('api/clients', (json) => { json.clients.pop(); }) },
  'an expiry that is missing': { file: 'state', grep: 'a secret that expires', answers: answer('api/clients', (json) => json.clients.forEach(({ secrets }) => secrets?.forEach((one) => { one.expires = null; }))) },
  'a whole hash': { file: 'state', grep: 'eight digits', answers: answer('api/sources', (json) => { json.files[0].text += '\n# f7384ffbe16b396eb1c3a70d0b57858bf57fb3b7a5fd0a362f21626b19fe7e68'; }) },
  'a use that is not known': { file: 'state', grep: 'the last use', answers: answer('api/clients', (json) => json.clients.forEach(({ secrets }) => secrets.forEach((one) => { one.last_used = null; }))) },

  // --- token, live, try
  'every token is valid': { file: 'token', grep: 'is not valid', answers: answer('api/token', (json) => { json.valid = true; }) },
  'no token is valid': { file: 'token', grep: 'a token of this server', answers: answer('api/token', (json) => { json.valid = false; }) },
  'a token in the storage': { file: 'token', grep: 'no storage', files: submitted("sessionStorage.setItem('last', token);") },
  'a token in the database': { file: 'token', grep: 'no storage', files: submitted("indexedDB.open('tokens');") },
  'a token in the address': { file: 'token', grep: 'no storage', files: submitted("history.replaceState({ token }, '');") },
  'a token in a question': { file: 'token', grep: 'no storage', files: submitted('fetch(`api/names?token=${token}`);') },
  'decoding that asks': { file: 'token', grep: 'a token of this server', files: submitted("fetch('api/names');") },
  'a token that stays': { file: 'token', grep: 'no storage', files: submitted("globalThis.kept = token; setInterval(() => { const field = document.querySelector('[name=token]'); if (field && !field.value) field.value = globalThis.kept; }, 20);") },
  'no explanation of a token': { file: 'token', grep: 'against a request', answers: answer('api/token', (json) => { json.explanation = null; }) },
  'decisions that do not come': { file: 'live', grep: 'shows up as it comes', files: { 'api.js': (file) => file.replace('if (found) yield found;', '') } },
  'a gateway without a name': { file: 'live', grep: 'with its name', files: { 'api.js': (file) => file.replace('if (found) yield found;', 'if (found) { found.data.gateway = null; yield found; }') } },
  'no groups': { file: 'live', grep: 'grouped by', files: { 'api.js': (file) => file.replace('if (found) yield found;', 'if (found) { found.data.client = String(Math.random()); yield found; }') } },
  'a lost stream': { file: 'live', grep: 'is gone, and goes on', files: script("const first = fetch; let streams = 0; globalThis.fetch = (url, ...more) => (String(url).includes('live') && (streams += 1) > 1 ? new Promise(() => {}) : first(url, ...more));") },
  'a failure that is silent': { file: 'live', grep: 'does not answer', files: script("new MutationObserver(() => document.querySelectorAll('[role=alert]').forEach((one) => one.remove())).observe(document, { childList: true, subtree: true });") },
  'findings that are left out': { file: 'try', grep: 'in place', answers: answer('api/check', (json) => { json.findings = []; }) },
  'a finding elsewhere': { file: 'try', grep: 'in place', answers: answer('api/check', ({ findings }) => findings.forEach((one) => { one.line += 2; })) },
  'no difference': { file: 'try', grep: 'a good edit', answers: answer('api/check', (json) => { if (json.difference) json.difference = { summary: 'neither', gains: 0, losses: 0, changes: [] }; }) },
  'a copy that is kept': { file: 'try', grep: 'stays while the page', files: script("addEventListener('input', ({ target }) => { if (target.localName === 'textarea') localStorage.setItem('copy', target.value); }, true);") },

  // --- others
  'a bearer that is kept': { file: 'exposed', grep: 'keeps it in memory', files: script("addEventListener('submit', ({ target }) => { const field = target.querySelector('[type=password]'); if (field) sessionStorage.setItem('bearer', field.value); }, true);") },
  'a page that is too slow': { file: 'speed', grep: 'without a long task', files: script("addEventListener('scroll', () => { const end = performance.now() + 300; while (performance.now() < end); }, true);") },
  'a filter that is too slow': { file: 'speed', grep: 'a filter of the big', files: script("addEventListener('input', () => { const end = performance.now() + 300; while (performance.now() < end); }, true);") },
  'a page that begins too late': { file: 'speed', grep: 'within a second', files: { 'views/matrix.js': (file) => file.replace('export async function show(', 'export async function show(...all) { await new Promise((done) => setTimeout(done, 1500)); return late(...all); }\nasync function late(') } },
};

const chosen = () => {
  const name = process.env.JETON_CONSOLE_FAULT;
  if (!name) return null;
  if (!FAULTS[name]) throw new Error(`there is no fault \`${name}\``);
  return { name, files: {}, answers: {}, ...FAULTS[name] };
};

/** A text with the fault of this run in it; null where none of it is about this address. */
export function altered(url, text) {
  const fault = chosen();
  if (!fault) return null;
  const { pathname } = new URL(url);
  for (const [file, change] of Object.entries(fault.files)) {
    if (!pathname.endsWith(`/console/${file}`) && !(file === 'index.html' && pathname.endsWith('/console/'))) continue;
    const after = change(text);
    if (after === text) throw new Error(`the fault \`${fault.name}\` changes nothing in ${file}`);
    return after;
  }
  for (const [path, change] of Object.entries(fault.answers)) {
    if (!pathname.endsWith(`/${path}`)) continue;
    const json = JSON.parse(text);
    change(json);
    return JSON.stringify(json);
  }
  return null;
}

/** The headers of an answer with the fault of this run. */
export function alteredHeaders(headers) {
  const after = { ...headers };
  chosen()?.headers?.(after);
  return after;
}

/** Plants the fault of this run into what the page gets. */
export async function plant(page) {
  if (!chosen()) return;
  await page.route((url) => url.pathname.startsWith('/console/') && !url.pathname.endsWith('/live'), async (route) => {
    let answer;
    try {
      answer = await route.fetch();
    } catch {
      await route.abort().catch(() => {});
      return;
    }
    const body = answer.status() === 200 ? altered(route.request().url(), await answer.text()) : null;
    await route.fulfill(body === null ? { response: answer } : { response: answer, body }).catch(() => {});
  });
}
