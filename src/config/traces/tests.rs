//! What the variables of OpenTelemetry say.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, time::Duration};

use super::{SettingError, TraceSampler, TraceSettings};

const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

/// With a collector.
fn read(variables: &[(&str, &str)]) -> Result<Option<TraceSettings>, Vec<SettingError>> {
    read_alone(&[&[COLLECTOR], variables].concat()).0
}

/// The last value of a name counts.
fn read_alone(variables: &[(&str, &str)]) -> (Result<Option<TraceSettings>, Vec<SettingError>>, Vec<String>) {
    let of = |name: &str| {
        let set = variables.iter().rev().find(|(other, _)| *other == name);
        set.map(|(_, value)| OsString::from(value))
    };
    let mut warnings = Vec::new();
    (TraceSettings::of_environment(of, &mut warnings), warnings)
}

#[track_caller]
fn on(variables: &[(&str, &str)]) -> TraceSettings {
    read(variables).unwrap().unwrap()
}

#[test]
fn traces_are_off_until_a_collector_is_named() {
    for variables in [
        &[][..],
        &[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_SAMPLER", "always_on")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
        &[COLLECTOR, ("OTEL_SDK_DISABLED", "true")],
        &[COLLECTOR, ("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "zipkin")],
        &[COLLECTOR, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_TRACES_SAMPLER", "nonsense")],
    ] {
        assert_eq!(read_alone(variables), (Ok(None), Vec::new()), "{variables:?}");
    }
    for variables in [
        &[COLLECTOR][..],
        &[COLLECTOR, ("OTEL_SDK_DISABLED", "false"), ("OTEL_TRACES_EXPORTER", "otlp")],
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector/spans")],
    ] {
        assert!(
            matches!(read_alone(variables), (Ok(Some(_)), warnings) if warnings.is_empty()),
            "{variables:?}"
        );
    }
    // somebody asks for traces, and does not say where they go
    let (outcome, warnings) = read_alone(&[("OTEL_TRACES_EXPORTER", "otlp")]);
    assert_eq!(outcome, Ok(None));
    assert!(matches!(&warnings[..], [only] if only.contains("OTEL_EXPORTER_OTLP_ENDPOINT")), "{warnings:?}");
}

#[test]
fn each_variable_is_understood() {
    let settings = on(&[]);
    assert_eq!(settings.endpoint.as_str(), "http://collector:4318/v1/traces");
    assert_eq!((settings.timeout, settings.interval), (Duration::from_secs(10), Duration::from_secs(5)));
    assert_eq!((settings.queue, settings.batch), (2048, 512));
    assert_eq!(settings.sampler, TraceSampler { ratio: 1.0, follows_parent: true });
    assert_eq!(settings.resource.into_iter().collect::<Vec<_>>(), [("service.name".into(), "jeton".into())]);

    let endpoint = |name, value| on(&[(name, value)]).endpoint.to_string();
    let [general, of_traces] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    assert_eq!(endpoint(general, "https://c"), "https://c/v1/traces");
    assert_eq!(endpoint(general, "https://c/otlp"), "https://c/otlp/v1/traces");
    assert_eq!(endpoint(general, " https://c/otlp/ "), "https://c/otlp/v1/traces");
    assert_eq!(endpoint(of_traces, "https://c/spans"), "https://c/spans");
    assert_eq!(endpoint(of_traces, "https://c"), "https://c/");

    let timeout = |variables: &[(&str, &str)]| on(variables).timeout.as_millis();
    assert_eq!(timeout(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "2500")]), 2500);
    let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "3000");
    assert_eq!(timeout(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"), of_traces]), 3000);
    assert_eq!(timeout(&[("OTEL_BSP_EXPORT_TIMEOUT", "1000"), of_traces]), 1000);

    let batch = on(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100"), ("OTEL_BSP_SCHEDULE_DELAY", "200")]);
    assert_eq!((batch.queue, batch.batch, batch.interval), (100, 100, Duration::from_millis(200)));
    assert_eq!(on(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2048")]).batch, 2048);

    for (sampler, ratio, follows_parent) in [
        ("always_on", 1.0, false),
        ("always_off", 0.0, false),
        ("traceidratio", 0.25, false),
        ("parentbased_always_on", 1.0, true),
        ("parentbased_always_off", 0.0, true),
        ("parentbased_traceidratio", 0.25, true),
    ] {
        let settings = on(&[("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", "0.25")]);
        assert_eq!(settings.sampler, TraceSampler { ratio, follows_parent }, "{sampler}");
    }
    let whole = on(&[("OTEL_TRACES_SAMPLER", "traceidratio")]).sampler;
    assert_eq!(whole, TraceSampler { ratio: 1.0, follows_parent: false });

    let resource = |variables: &[(&str, &str)]| on(variables).resource;
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a, deployment.environment.name=a%2Cb%20c,");
    let read = resource(&[attributes]);
    assert_eq!([&read["service.name"], &read["deployment.environment.name"]], ["a", "a,b c"]);
    assert_eq!(resource(&[attributes, ("OTEL_SERVICE_NAME", "b")])["service.name"], "b");
}

#[test]
fn what_makes_no_sense_is_told_by_its_variable() {
    let long = "9".repeat(30);
    for (name, value, says) in [
        ("OTEL_SDK_DISABLED", "yes", "`true` or `false`"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "`otlp` or `none`"),
        ("OTEL_TRACES_EXPORTER", "otlp,console", "`otlp` or `none`"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "`http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "`http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "HTTP", "`http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "scheme"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "not a URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "not a URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector", "scheme"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@collector", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector/?key=hunter2", "`?`"),
        // the address in the variable of something else
        ("OTEL_TRACES_EXPORTER", "http://u:hunter2@collector", "`http://(set)@collector` is not supported"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "https://c/v1?key=hunter2", "`https://c/v1?(set)` is not supported"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "u:hunter2@collector", "`(set)@collector` is not a whole number"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "http://u:hunter2@c/ca.pem", "does not exist"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", "entry 1 has no `=`"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,=hunter2", "entry 2 has no name"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2", "entry 1"),
        // as in HTTP itself; the padding of Base64 looks like the end of a name
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: Basic hunter2=", "entry 1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,x-key:hunter2==", "entry 2"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b,,hunter2=", "entry 2 has an empty value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b\nhunter2=c,hunter2\n=", "entry 1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=", "entry 1 has an empty value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,authorization=hunter2%0D%0Aa: b", "entry 2"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=%ff", "not UTF-8"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "whole number"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "whole number"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1", "whole number"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", &long, "whole number"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "`gzip`"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem", "does not exist"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere/ca.pem", "headers"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "`always_on`"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "`always_on`"),
        ("OTEL_TRACES_SAMPLER", "parentbased_xray", "`always_on`"),
        ("OTEL_TRACES_SAMPLER_ARG", "half", "0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "-0.1", "0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "NaN", "0 to 1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "whole number"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", &long, "whole number"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", "whole number"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "OTEL_BSP_MAX_QUEUE_SIZE"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "milliseconds"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "x", "milliseconds"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "entry 1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,=c", "entry 2"),
    ] {
        let errors = read(&[(name, value)]).unwrap_err();
        let [SettingError { origin, message }] = &errors[..] else { panic!("{name}={value}: {errors:?}") };
        assert!(origin == name && message.contains(says), "{name}={value}: {origin}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
        // nor without a collector
        if !name.ends_with("ENDPOINT") {
            assert_eq!(read_alone(&[(name, value)]).0, Err(errors), "{name}={value}");
        }
    }
    let several = read(&[("OTEL_TRACES_SAMPLER", "x"), ("OTEL_BSP_SCHEDULE_DELAY", "x")]).unwrap_err();
    assert_eq!(several.len(), 2, "{several:?}");
}

#[test]
fn what_is_no_text_is_told() {
    let of = |name: &str| (name == "OTEL_SERVICE_NAME").then(|| OsString::from_vec(vec![0xff]));
    let errors = TraceSettings::of_environment(of, &mut Vec::new()).unwrap_err();
    assert!(matches!(&errors[..], [only] if only.origin == "OTEL_SERVICE_NAME"), "{errors:?}");
}

#[test]
fn a_sound_header_is_taken_and_not_kept() {
    for headers in ["authorization=Bearer%20hunter2", "a=b, x-key=hunter2==,", "a=b"] {
        let settings = on(&[("OTEL_EXPORTER_OTLP_HEADERS", headers)]);
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
    }
}
