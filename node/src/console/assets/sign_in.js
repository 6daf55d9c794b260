import { ApiError, call, credentials } from './api.js';
import { h, show } from './dom.js';
import { field } from './parts.js';

/** Asks for an API key, or for the admin token, which opens the ring alone. */
export function signInPage(main, { problem, begin }) {
  const input = h('input', { type: 'password', name: 'credential', required: true, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'none' });
  const note = h('p', { class: 'problem', role: 'alert', hidden: !problem }, problem ?? '');
  const submit = h('button', { type: 'submit', class: 'primary' }, 'Sign in');
  const onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    note.hidden = true;
    try {
      await keep(input.value.trim());
      begin();
    } catch (error) {
      note.textContent = error instanceof ApiError ? error.message : 'The node does not answer. Try again.';
      note.hidden = false;
      input.select();
      input.focus();
    }
    submit.disabled = false;
  };
  show(main, h('form', { class: 'sign-in panel', onsubmit, key: 'sign-in' },
    h('h1', null, 'Sign in'),
    field('API key', input, 'It stays in this tab, until you sign out or close it. The operator’s admin token shows the ring, and nothing else.'),
    note,
    h('div', { class: 'buttons' }, submit)));
  input.focus();
}

async function keep(credential) {
  if (!/^[\x21-\x7e]+$/.test(credential)) throw new ApiError(422, { message: 'This is no API key: it has characters that keys do not have' });
  const isAdmin = credential.startsWith('tbo_admin_');
  try {
    await call('GET', isAdmin ? '/v1/cluster' : '/v1/whoami', { credential });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    throw new ApiError(401, { message: isAdmin ? 'This is not the admin token of this cluster' : 'This API key is unknown, expired or revoked' });
  }
  if (isAdmin) credentials.keepAdminToken(credential);
  else credentials.keep(credential);
}
