// What a page asks for is shown in a page of the plug-in, where no script of that page can change what is seen.
chrome.runtime.onMessage.addListener(({ procedure, values }, sender) => {
  const what = new URLSearchParams({ procedure, values: JSON.stringify(values), from: sender.origin ?? sender.url ?? '' });
  chrome.tabs.create({ url: `${chrome.runtime.getURL('extension/call.html')}#${what}`, openerTabId: sender.tab?.id });
});

chrome.action.onClicked.addListener(() => chrome.runtime.openOptionsPage());
