import { call, list } from './api.js';
import { formDialog, openDialog, problemDialog } from './dialog.js';
import { h, say } from './dom.js';
import { clock } from './format.js';
import { field, select } from './parts.js';

const FILE = 'mount-ticket.json';

/** Asks for whom and for what, and shows the ticket once. What is known already is filled in. */
export async function issueTicket(context, known = {}) {
  const title = 'Issue a mount ticket';
  let lists;
  try {
    lists = await Promise.all(['workspaces', 'tenants'].map((name) => list(`/v1/${name}`, {}, context.signal)));
  } catch (error) {
    if (!context.signal.aborted) problemDialog(title, error);
    return;
  }
  const [workspaces, tenants] = lists;
  const active = workspaces.filter(({ status }) => status === 'active').map(({ address }) => [address, address]);
  const text = (name, props) => h('input', { name, spellcheck: 'false', autocapitalize: 'none', ...props });
  const fields = [
    field('Workspace', select(active, known.workspace, { name: 'workspace', required: true })),
    field('Tenant', text('tenant', { required: true, list: 'tenants', pattern: '[a-z0-9][a-z0-9\\-]{0,62}', value: known.tenant }),
      'Made if there is none of this name'),
    h('datalist', { id: 'tenants' }, ...tenants.map(({ slug }) => h('option', { value: slug }))),
    field('Runtime', text('runtime', { required: true, maxlength: '128', pattern: '[A-Za-z0-9._:\\-]{1,128}', value: known.runtime }),
      'Your own name for the sandbox or job'),
    field('Access', select([['rw', 'read and write'], ['ro', 'read only']], 'rw', { name: 'mode' })),
    field('Lives for, in minutes', h('input', { name: 'minutes', type: 'number', required: true, min: '1', max: '1440', value: '60', inputmode: 'numeric' }),
      'At most 1,440, a day'),
    field('Directory', text('subpath', {}), 'What the mount sees as its root; empty: all of the workspace'),
    h('p', { class: 'field check' }, h('input', { name: 'renewable', type: 'checkbox', id: 'ticket-renewable' }),
      h('label', { for: 'ticket-renewable' }, 'A mount may go on after that, for as long as its grant stands')),
  ];
  formDialog(title, fields, 'Issue', async (values, dialog) => {
    const body = { workspace: values.workspace, mode: values.mode, ttl_seconds: Number(values.minutes) * 60 };
    if (values.subpath) body.subpath = values.subpath;
    if (values.renewable) body.renewable = true;
    const path = `/v1/tenants/${encodeURIComponent(values.tenant)}/runtimes/${encodeURIComponent(values.runtime)}/mount-tickets`;
    const { mount_ticket: ticket } = await call('POST', path, { body });
    dialog.close();
    showTicket(ticket);
  });
}

function showTicket(ticket) {
  const dialog = openDialog('The mount ticket');
  const file = JSON.stringify(ticket);
  const copy = async ({ target }) => {
    try {
      await navigator.clipboard.writeText(file);
      target.textContent = 'Copied';
    } catch {
      // Not allowed here: select it, and Ctrl+C does the rest.
      getSelection().selectAllChildren(dialog.element.querySelector('pre'));
      say('Copying is not allowed here. The ticket is selected: press Ctrl and C.');
    }
  };
  dialog.show(
    h('p', null, 'Whoever has it may mount ', h('strong', null, ticket.workspace), ` (${ticket.mode}) until ${clock(ticket.expires_at)}. `,
      h('strong', null, 'It is shown only now.'), ' Save it as a file that only the runtime can read.'),
    h('pre', { tabindex: '0', class: 'ticket', 'aria-label': 'The ticket' }, file),
    h('p', { class: 'note' }, 'In the runtime: ', h('code', null, `artifacts mount --ticket-file ${FILE} DIR`)),
    h('div', { class: 'buttons' },
      h('button', { type: 'button', onclick: copy }, 'Copy'),
      h('button', { type: 'button', onclick: () => download(file) }, 'Download'),
      h('button', { type: 'button', class: 'primary', onclick: dialog.close }, 'Done')),
  );
}

function download(text) {
  const href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  h('a', { href, download: FILE }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
