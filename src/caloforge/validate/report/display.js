(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("display-data").textContent);
  var box = document.getElementById("display");
  var buttons = document.getElementById("display-energies");
  var panes = data.choices[0].showers.map(function () {
    var pane = document.createElement("div");
    pane.className = "pane";
    var title = document.createElement("p");
    title.className = "pane-title";
    var plot = document.createElement("div");
    plot.className = "plot";
    pane.appendChild(title);
    pane.appendChild(plot);
    box.appendChild(pane);
    return { title: title, plot: plot };
  });
  var axis = function (name, range) {
    return { title: { text: name + " [mm]" }, range: range, backgroundcolor: "#f7f7f7", showbackground: true,
             gridcolor: "#ddd", zeroline: false, tickfont: { size: 10 }, nticks: 5 };
  };
  var length = function (range) { return range[1] - range[0]; };
  var sizes = [data.range.z, data.range.x, data.range.y].map(length);
  var longest = Math.max.apply(null, sizes);
  var layout = function () {
    return { margin: { l: 0, r: 0, t: 0, b: 0 }, height: 340, showlegend: false, uirevision: "keep",
      scene: { xaxis: axis("z", data.range.z), yaxis: axis("x", data.range.x), zaxis: axis("y", data.range.y),
        aspectmode: "manual",
        aspectratio: { x: 1.2 * Math.max(sizes[0] / longest, 0.4), y: 1.2 * Math.max(sizes[1] / longest, 0.4),
                       z: 1.2 * Math.max(sizes[2] / longest, 0.4) },
        camera: { eye: { x: -1.25, y: -1.75, z: 0.85 }, up: { x: 0, y: 0, z: 1 } }, uirevision: "keep" } };
  };
  var trace = function (shower) {
    var low = data.colours[0], high = data.colours[1];
    var logs = shower.energy.map(function (e) { return Math.log10(e); });
    return { type: "scatter3d", mode: "markers", x: shower.z, y: shower.x, z: shower.y,
      text: shower.energy.map(function (e) { return e + " MeV"; }), hoverinfo: "text+x+y+z",
      marker: { symbol: "square", color: logs, cmin: low, cmax: high, colorscale: "Viridis", opacity: 0.85,
        line: { width: 0 },
        size: logs.map(function (l) { return 2 + 8 * Math.min(1, Math.max(0, (l - low) / (high - low))); }) } };
  };
  var show = function (number) {
    data.choices[number].showers.forEach(function (shower, k) {
      panes[k].title.textContent = shower.name + ": " + shower.text;
      Plotly.react(panes[k].plot, [trace(shower)], layout(), { responsive: true, displaylogo: false,
        modeBarButtonsToRemove: ["tableRotation", "resetCameraLastSave3d", "hoverClosest3d"] });
    });
    Array.prototype.forEach.call(buttons.children, function (button, k) {
      button.setAttribute("aria-pressed", k === number ? "true" : "false");
    });
  };
  data.choices.forEach(function (choice, number) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = choice.label;
    button.addEventListener("click", function () { show(number); });
    buttons.appendChild(button);
  });
  show(Math.floor(data.choices.length / 2));
  var turning = false;
  panes.forEach(function (pane) {
    pane.plot.on("plotly_relayout", function (change) {
      var camera = change["scene.camera"];
      if (turning || !camera) { return; }
      turning = true;
      Promise.all(panes.map(function (each) {  // this one too: it stops where the others stand
        return Plotly.relayout(each.plot, { "scene.camera": camera });
      })).then(function () { turning = false; });
    });
  });
})();
