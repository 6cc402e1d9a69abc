//! The figures as a picture: both axes logarithmic, a label at the end of each line.

use std::fmt::Write;

/// One line of the picture.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    /// Its colour, and whether it is dashed.
    pub(crate) look: (&'static str, bool),
    /// Rules, and nanoseconds.
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 80.0;
const BOTTOM: f64 = 460.0;
/// Between two labels that end at the same place.
const LABEL: f64 = 17.0;

/// A complete SVG file.
pub(crate) fn draw(lines: Vec<Line>) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (x_from, x_to) = decades(points().map(|point| point.0));
    let (y_from, y_to) = decades(points().map(|point| point.1));
    let x = |rules: f64| LEFT + (rules.log10() - x_from) / (x_to - x_from) * (RIGHT - LEFT);
    let y = |nanos: f64| BOTTOM - (nanos.log10() - y_from) / (y_to - y_from) * (BOTTOM - TOP);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"13\">\n\
         <title>Time of one decision by the number of rules, for jeton, cedar and casbin</title>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#f6f8fa\" stroke=\"#d0d7de\"/>\n\
         <text x=\"{LEFT}\" y=\"30\" font-size=\"16\" font-weight=\"600\" fill=\"#1f2328\">Time of one decision (allowed), \
         by the number of rules</text>\n\
         <text x=\"{LEFT}\" y=\"50\" fill=\"#59636e\">A line ends where the engine would take more than 50 ms for a \
         decision at the next size.</text>\n",
        WIDTH - 1.0,
        HEIGHT - 1.0,
    );
    for decade in whole(y_from, y_to) {
        let (at, label) = (y(10f64.powi(decade)), time(decade));
        writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#d8dee4\"/>").unwrap();
        text(&mut svg, LEFT - 10.0, at + 4.5, "end", "#59636e", &label);
    }
    for decade in whole(x_from, x_to) {
        let (at, label) = (x(10f64.powi(decade)), thousands(10usize.pow(decade as u32)));
        writeln!(svg, "<path d=\"M{at:.1} {BOTTOM}v5\" stroke=\"#59636e\"/>").unwrap();
        text(&mut svg, at, BOTTOM + 22.0, "middle", "#59636e", &label);
    }
    writeln!(svg, "<path d=\"M{LEFT} {BOTTOM}H{RIGHT}\" stroke=\"#59636e\"/>").unwrap();
    text(&mut svg, f64::midpoint(LEFT, RIGHT), BOTTOM + 44.0, "middle", "#59636e", "rules");

    let mut labels = Vec::new();
    for Line { name, look: (colour, dashed), points } in &lines {
        let path: Vec<_> =
            points.iter().map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1))).collect();
        let dash = if *dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" stroke-linejoin=\"round\"{dash}/>",
            path.join("L")
        )
        .unwrap();
        for point in points {
            writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"/>",
                x(point.0),
                y(point.1)
            )
            .unwrap();
        }
        if let Some(end) = points.last() {
            labels.push((x(end.0), y(end.1), *colour, *name));
        }
    }
    // from the top down, none over another
    labels.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let mut above = (0.0, 0.0);
    for (x, y, colour, name) in labels {
        let y = if x == above.0 { y.max(above.1 + LABEL) } else { y };
        above = (x, y);
        text(&mut svg, x + 10.0, y + 4.5, "start", colour, name);
    }
    svg.push_str("</svg>\n");
    svg
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, colour: &str, text: &str) {
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>")
        .unwrap();
}

/// The powers of ten around these numbers.
fn decades(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) =
        numbers.fold((f64::INFINITY, 0f64), |(least, most), number| (least.min(number), most.max(number)));
    (least.log10().floor(), most.log10().ceil())
}

fn whole(from: f64, to: f64) -> std::ops::RangeInclusive<i32> {
    from as i32..=to as i32
}

/// This power of ten in nanoseconds.
fn time(decade: i32) -> String {
    let unit = ["ns", "µs", "ms", "s"][decade as usize / 3];
    format!("{} {unit}", 10usize.pow(decade as u32 % 3))
}

fn thousands(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}
