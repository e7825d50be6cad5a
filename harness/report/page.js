// The matrix: its keyboard, its filters, and the dialog of a cell.

function showMatrix() {
  const matrix = $('matrix'),
    dialog = $('dialog');
  const buttons = [...matrix.querySelectorAll('.cell')];
  const byKey = new Map(buttons.map((b) => [b.dataset.cell, b]));
  const bare = location.href.split('#')[0];
  const row = new Map(data.scenarios.map((x, i) => [x.name, i])),
    column = new Map(data.fixes.map((x, i) => [x.name, i]));
  const at = (r, c) =>
    data.scenarios[r] && data.fixes[c] && byKey.get(data.scenarios[r].name + '/' + data.fixes[c].name);
  const place = (b) => {
    const [sc, fx] = b.dataset.cell.split('/');
    return [row.get(sc), column.get(fx)];
  };
  const visible = (b) => b && b.offsetParent !== null;

  // One cell of the matrix is in the tab order; arrows move it.
  let current = buttons[0];
  if (current) current.tabIndex = 0;
  function moveTo(b, focus = true) {
    if (!b) return;
    current.tabIndex = -1;
    b.tabIndex = 0;
    current = b;
    if (focus) b.focus();
  }
  function step(b, dr, dc) {
    let [r, c] = place(b);
    for (;;) {
      r += dr;
      c += dc;
      if (r < 0 || c < 0 || r >= data.scenarios.length || c >= data.fixes.length) return undefined;
      const next = at(r, c);
      if (visible(next)) return next;
    }
  }
  const far = (b, dr, dc) => {
    for (let n; (n = step(b, dr, dc)); b = n);
    return b;
  };
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  matrix.addEventListener('keydown', (ev) => {
    const b = ev.target.closest('.cell');
    if (!b || ev.altKey || ev.metaKey) return;
    let to;
    if (moves[ev.key]) to = ev.ctrlKey ? far(b, ...moves[ev.key]) : step(b, ...moves[ev.key]);
    else if (ev.key === 'Home') to = far(ev.ctrlKey ? far(b, -1, 0) : b, 0, -1);
    else if (ev.key === 'End') to = far(ev.ctrlKey ? far(b, 1, 0) : b, 0, 1);
    else return;
    ev.preventDefault();
    moveTo(to);
  });
  matrix.addEventListener('click', (ev) => {
    const b = ev.target.closest('.cell');
    if (b) {
      moveTo(b, false);
      open(b.dataset.cell);
    }
  });

  // The row and the column of the cell under the pointer or in focus stand out, and its sentence is its tooltip.
  const heads = [...matrix.querySelectorAll('thead .fix')];
  let lit = [];
  function here(ev) {
    const b = ev.target.closest('.cell');
    for (const e of lit) e.classList.remove('here');
    lit = b ? [b.closest('tr'), heads[place(b)[1]]] : [];
    for (const e of lit) e.classList.add('here');
    if (b && !b.title) b.title = b.getAttribute('aria-label');
  }
  matrix.addEventListener('mouseover', here);
  matrix.addEventListener('focusin', here);
  matrix.addEventListener('mouseleave', here);

  const groups = [...matrix.tBodies].map((body) => [...body.rows].slice(1)); // after each theme's own row
  const lines = groups.flat();
  const unfiltered = document.querySelectorAll('#outcome input').length;

  // found says which of these have every word that was typed somewhere in their name, title or text.
  function found(list, typed) {
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    return list.map((x) =>
      words.every((w) => [x.name, x.title, x.text, x.from].join(' ').toLowerCase().includes(w)),
    );
  }

  // filter dims cells that are not asked for, and hides rows and columns in which no cell is left.
  function filter() {
    const which = document.querySelector('input[name=reading]:checked').value;
    matrix.classList.toggle('reading-each-request', which === 'each-request');
    matrix.classList.toggle('reading-go-micro', which === 'go-micro');
    const outcomes = [...document.querySelectorAll('#outcome input:checked')].map((i) => i.value);
    const moved = Boolean($('moved')?.checked),
      some = moved || outcomes.length < unfiltered;
    const asked = (b) => {
      if (!b) return false;
      const halves = [...b.querySelectorAll('.half[data-reading]')].filter(
        (h) => !which || h.dataset.reading === which,
      );
      return (
        halves.some((h) => outcomes.some((o) => h.classList.contains(o))) &&
        (!moved || b.classList.contains('moved'))
      );
    };
    const cells = lines.map((_, r) => data.fixes.map((_, c) => at(r, c)));
    const theme = $('theme').value;
    const showRow = found(data.scenarios, $('find-scenario').value),
      showColumn = found(data.fixes, $('find-fix').value);
    groups.forEach((group, g) => {
      for (const tr of group) if (theme !== '' && theme !== String(g)) showRow[lines.indexOf(tr)] = false;
    });
    for (const b of buttons) b.classList.toggle('dim', some && !asked(b));
    if (some) {
      cells.forEach((list, r) => {
        showRow[r] &&= list.some((b, c) => showColumn[c] && asked(b));
      });
      showColumn.forEach((show, c) => {
        showColumn[c] = show && cells.some((list, r) => showRow[r] && asked(list[c]));
      });
    }
    lines.forEach((tr, r) => {
      tr.hidden = !showRow[r];
    });
    groups.forEach((group) => {
      group[0].parentElement.hidden = group.every((tr) => tr.hidden);
    });
    const columns = showColumn.filter(Boolean).length;
    for (const tr of matrix.rows) {
      if (tr.classList.contains('theme')) tr.cells[0].colSpan = Math.max(1, columns);
      else
        showColumn.forEach((show, c) => {
          tr.cells[c + 1].hidden = !show;
        });
    }
    $('count').textContent =
      `${showRow.filter(Boolean).length} of ${lines.length} scenarios, ${columns} of ${data.fixes.length} fixes.`;
    if (current && !visible(current)) moveTo(buttons.find(visible), false);
  }
  for (const event of ['change', 'input']) document.querySelector('.filters').addEventListener(event, filter);
  document.querySelector('.filters').addEventListener('submit', (ev) => ev.preventDefault());
  filter(); // a reload keeps what was ticked

  let shown; // the cell that is open
  async function open(key, name) {
    const [sc, fx] = key.split('/');
    const scenario = data.scenarios[row.get(sc)],
      fix = data.fixes[column.get(fx)];
    if (!scenario || !fix || !byKey.has(key)) return;
    shown = key;
    const { [fx]: cell } = await unpack(sc);
    if (shown !== key) return; // another was opened meanwhile
    const readings = cell.readings || [];
    const selected = readings.find((r) => r.name === name) || readings[0];
    const button = byKey.get(key);
    const go = (text, label, dr, dc) => {
      const next = step(button, dr, dc);
      return element(
        'button',
        {
          type: 'button',
          'aria-label': label,
          title: label,
          disabled: !next,
          click: () => {
            moveTo(next, false);
            open(next.dataset.cell, selected?.name);
          },
        },
        text,
      );
    };
    const box = element(
      'div',
      {},
      element(
        'div',
        { class: 'cell-head' },
        element(
          'div',
          {},
          element(
            'h2',
            { id: 'cell-title', tabindex: -1, 'aria-describedby': 'verdict' },
            scenario.title,
            element('span', {}, ' with '),
            fix.title,
          ),
          scenario.text ? element('p', {}, scenario.text, scenario.from ? ` (${scenario.from})` : '') : '',
          fix.text ? element('p', {}, element('b', {}, 'The fix: '), fix.text) : '',
        ),
        element(
          'div',
          { class: 'nav' },
          go('←', 'previous fix', 0, -1),
          go('→', 'next fix', 0, 1),
          go('↑', 'previous scenario', -1, 0),
          go('↓', 'next scenario', 1, 0),
          element(
            'button',
            { type: 'button', class: 'close', 'aria-label': 'Close', click: () => dialog.close() },
            '✕',
          ),
        ),
      ),
    );
    if (!selected) {
      box.append(
        element(
          'p',
          { class: 'verdict', id: 'verdict' },
          cell.na ? 'Not applicable: ' + cell.na + '.' : 'No reading was made.',
        ),
        cell.replay ? replay(cell.replay) : '',
      );
    } else {
      const tabs = element(
        'div',
        {
          class: 'tabs',
          role: 'tablist',
          'aria-label': 'Reading',
          keydown: (ev) => {
            const i = readings.indexOf(selected) + { ArrowLeft: -1, ArrowRight: 1 }[ev.key];
            if (readings[i]) {
              ev.preventDefault();
              open(key, readings[i].name).then(() => $('tab-' + readings[i].name).focus());
            }
          },
        },
        readings.map((r) =>
          element(
            'button',
            {
              type: 'button',
              role: 'tab',
              id: 'tab-' + r.name,
              'aria-controls': 'panel',
              'aria-selected': String(r === selected),
              tabindex: r === selected ? 0 : -1,
              click: () => open(key, r.name).then(() => $('tab-' + r.name).focus()),
            },
            { 'each-request': 'gateways that resolve on each request', 'go-micro': 'go-micro’s gateway' }[r.name] ||
              r.name,
            element('span', { class: 'badge ' + r.outcome }, r.label + (r.moved ? ' !' : '')),
          ),
        ),
      );
      box.append(tabs);
    }
    dialog.replaceChildren(box);
    if (!dialog.open) dialog.showModal();
    if (selected)
      box.append(reading(selected, cell, box.clientWidth - 2 * parseFloat(getComputedStyle(box).paddingLeft) - 2));
    dialog.scrollTop = 0;
    dialog.dataset.cell = key;
    history.replaceState(null, '', bare + '#' + key + (selected ? '/' + selected.name : ''));
    $('cell-title').focus({ preventScroll: true });
  }

  dialog.addEventListener('close', () => {
    shown = undefined;
    dialog.replaceChildren();
    history.replaceState(null, '', bare);
    if (current) current.focus();
  });
  dialog.addEventListener('click', (ev) => {
    if (ev.target === dialog) dialog.close();
  }); // the backdrop

  function fragment() {
    const [sc, fx, name] = location.hash.slice(1).split('/');
    const b = byKey.get(sc + '/' + fx);
    if (!b) return;
    moveTo(b, false);
    open(b.dataset.cell, name);
  }
  addEventListener('hashchange', fragment);
  fragment();
  document.documentElement.dataset.ready = 'true';
}

// showOne shows a page of one history.
async function showOne() {
  const { '': cell } = await unpack('');
  const box = $('single').appendChild(element('div'));
  const padding = parseFloat(getComputedStyle(box).paddingLeft) * 2;
  box.append(reading(cell.readings[0], cell, box.clientWidth - padding - 2));
  document.documentElement.dataset.ready = 'true';
}

if ($('single')) showOne();
else showMatrix();
