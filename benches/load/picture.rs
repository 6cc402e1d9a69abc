//! CPU time as bars, one below the other.

use std::fmt::Write;

pub(crate) struct Bar {
    pub(crate) name: &'static str,
    pub(crate) micros: f64,
    pub(crate) colour: &'static str,
}

const WIDTH: f64 = 880.0;
const LEFT: f64 = 290.0;
const RIGHT: f64 = 790.0;
const TOP: f64 = 72.0;
/// From one bar to the next, and how thick it is.
const STEP: f64 = 34.0;
const THICK: f64 = 20.0;

/// A complete SVG file. It brings its own background, so it looks the same on a light page and a dark one.
pub(crate) fn draw(bars: &[Bar]) -> String {
    let height = TOP + STEP * bars.len() as f64 + 14.0;
    let most = bars.iter().map(|bar| bar.micros).fold(0.0, f64::max);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"13\">\n\
         <title>CPU time of a server for each request, for jeton, a raw signature, a bare server, oidc-provider and Cerbos</title>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#f6f8fa\" stroke=\"#d0d7de\"/>\n\
         <text x=\"24\" y=\"30\" font-size=\"16\" font-weight=\"600\" fill=\"#1f2328\">CPU time for each request, \
         in microseconds</text>\n\
         <text x=\"24\" y=\"50\" fill=\"#59636e\">Of the server's whole process, over HTTP, all in one run on one core; jeton \
         writes its log.</text>\n",
        WIDTH - 1.0,
        height - 1.0,
    );
    for (place, bar) in bars.iter().enumerate() {
        draw_bar(&mut svg, bar, TOP + STEP * place as f64, bar.micros / most * (RIGHT - LEFT));
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_bar(svg: &mut String, bar: &Bar, top: f64, length: f64) {
    let Bar { name, micros, colour } = bar;
    let (base, end) = (top + THICK - 5.0, LEFT + length + 8.0);
    writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"end\" fill=\"#1f2328\">{name}</text>\n\
         <rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{THICK}\" rx=\"2\" fill=\"{colour}\"/>\n\
         <text x=\"{end:.1}\" y=\"{base:.1}\" fill=\"{colour}\">{micros:.1}</text>",
        LEFT - 12.0,
    )
    .unwrap();
}
