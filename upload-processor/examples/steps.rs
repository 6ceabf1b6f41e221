//! TEMPORARY
use std::time::Instant;
use upload_processor::{decode::decode, inspect::*, render::render, settings::Settings, thumbnail::thumbnail};
fn main() {
    let settings = Settings::default();
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).unwrap();
        let mut best = [f64::MAX; 4];
        for _ in 0..5 {
            let t = Instant::now();
            let i = inspect(&bytes, &Declared::default(), &settings).unwrap();
            let a = t.elapsed().as_secs_f64();
            let d = decode(&i).unwrap();
            let b = t.elapsed().as_secs_f64();
            let r = render(&d, &settings).unwrap();
            let c = t.elapsed().as_secs_f64();
            std::hint::black_box(r);
            drop(d);
            let t = Instant::now();
            thumbnail(&bytes, &Declared::default(), &settings, None).unwrap();
            for (best, now) in best.iter_mut().zip([a, b - a, c - b, t.elapsed().as_secs_f64()]) { *best = best.min(now * 1e3); }
        }
        println!("{path}: {} bytes; inspect {:.0}, decode {:.0}, render {:.0}, all {:.0} ms", bytes.len(), best[0], best[1], best[2], best[3]);
    }
}
