(all) => {
  window.states = [];
  const note = () => window.states.push(`${all.dataset.exact} ${all.dataset.fine}`);
  new MutationObserver(note).observe(all, { attributes: true });
};
