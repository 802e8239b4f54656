// The token stands behind the # of the link, so that no server, proxy or log ever sees it in an
// address. It is moved into the form, and out of the browser's history.
const token = location.hash.slice(1);
if (token) {
  document.getElementById("token").value = token;
  document.getElementById("paste").hidden = true;
  document.getElementById("ready").hidden = false;
  history.replaceState(null, "", location.pathname);
  document.querySelector("button").focus();
}
