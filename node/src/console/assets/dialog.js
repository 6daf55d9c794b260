// A question or form in front of the page. Focus stays in it until it is closed, and goes back to where it was.
import { h, show } from './dom.js';

const FOCUSABLE = 'a[href], button:not(:disabled), input:not(:disabled), select, textarea, [tabindex="0"]';
let dialogs = 0;

/** Opens one, and gives `show` to fill it, `close`, and a `signal` that says that it is closed. */
export function openDialog(title) {
  const name = `dialog-${++dialogs}`;
  const content = h('div', { class: 'dialog-content' });
  const dialog = h('dialog', { 'aria-labelledby': name }, h('h2', { id: name }, title), content);
  const opener = document.activeElement;
  const closed = new AbortController();
  dialog.addEventListener('keydown', keepFocus);
  dialog.addEventListener('close', () => {
    dialog.remove();
    closed.abort();
    (opener?.isConnected ? opener : document.getElementById('main')).focus();
  });
  addEventListener('hashchange', () => dialog.close(), { signal: closed.signal });
  document.body.append(dialog);
  dialog.showModal();
  return { show: (...children) => show(content, ...children), close: () => dialog.close(), signal: closed.signal, element: dialog };
}

function keepFocus(event) {
  if (event.key !== 'Tab') return;
  const all = [...event.currentTarget.querySelectorAll(FOCUSABLE)];
  const [first, last] = [all[0], all.at(-1)];
  const at = document.activeElement;
  if (event.shiftKey ? at === first || !all.includes(at) : at === last) {
    event.preventDefault();
    (event.shiftKey ? last : first)?.focus();
  }
}

/** Says that something did not work. */
export function problemDialog(title, error) {
  const dialog = openDialog(title);
  dialog.show(h('p', { class: 'problem', role: 'alert' }, error.message), h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: dialog.close }, 'Close')));
}

/** A form in a dialog: `work` is done with its fields, and what it throws is shown. */
export function formDialog(title, fields, verb, work) {
  const dialog = openDialog(title);
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  const submit = h('button', { type: 'submit', class: 'primary' }, verb);
  const onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.hidden = true;
    try {
      await work(Object.fromEntries(new FormData(event.target)), dialog);
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    }
    submit.disabled = false;
  };
  const cancel = h('button', { type: 'button', onclick: dialog.close }, 'Cancel');
  dialog.show(h('form', { onsubmit, autocomplete: 'off' }, ...fields, problem, h('div', { class: 'buttons' }, cancel, submit)));
  dialog.element.querySelector('input, select')?.focus();
}
