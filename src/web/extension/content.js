// In every page: <form data-bft-procedure="send_payment"> with fields named as the catalog's parameters goes to the
// plug-in instead of to one server. The plug-in asks before it sends: a script of the page could submit a form, too.
document.addEventListener('submit', (event) => {
  const form = event.target;
  const procedure = form.dataset?.bftProcedure;
  if (procedure === undefined || !event.isTrusted) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const values = Object.fromEntries([...new FormData(form)].filter(([, value]) => typeof value === 'string'));
  chrome.runtime.sendMessage({ procedure, values });
}, true);
