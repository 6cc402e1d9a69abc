//! Reads a question member by member, so that an error names the member.

use jeton_jose::strict_object;
use jeton_oauth::{Role, Scope};
use jeton_policy::Permissions;
use serde_json::{Map, Value};

/// Why a question cannot be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadQuestion {
    /// The body is no JSON object, or has a name twice.
    #[error("the body must be a JSON object: {0}")]
    NotAnObject(serde_json::Error),
    /// A member is required.
    #[error("`{at}` is missing: give {wanted}")]
    Missing {
        /// The member, such as `subject.id`.
        at: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A member has the wrong type.
    #[error("`{at}` must be {wanted}")]
    WrongType {
        /// The member.
        at: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A member has a value that nothing can have.
    #[error("`{at}`: {why}")]
    BadValue {
        /// The member.
        at: String,
        /// What is wrong with its value.
        why: String,
    },
}

/// Whom a question is about.
#[derive(Debug)]
pub(super) enum AskedSubject<'q> {
    /// A client, with all that it is granted.
    Client(&'q str),
    /// The bearer of just this.
    Bearer(Permissions),
    /// Of a type that policies do not know.
    Unknown,
}

/// What a question is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum AskedResource<'q> {
    /// A pattern, with the values of its parameters.
    Route { pattern: &'q str, parameters: Option<&'q Map<String, Value>> },
    /// A path as a client sends it.
    Path(&'q str),
    /// Of a type that policies do not know.
    Unknown,
}

/// Types of subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SubjectType {
    /// `client`, or as gateways have it, `identity`.
    Client,
    Bearer,
    Unknown,
}

/// Types of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResourceType {
    Route,
    Path,
    Unknown,
}

impl SubjectType {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "client" | "identity" => Self::Client,
            "bearer" => Self::Bearer,
            _ => Self::Unknown,
        }
    }
}

impl ResourceType {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "route" => Self::Route,
            "path" => Self::Path,
            _ => Self::Unknown,
        }
    }
}

/// The whole of a question.
#[derive(Debug)]
pub(super) struct Question(Map<String, Value>);

impl Question {
    pub(super) fn read(body: &[u8]) -> Result<Self, BadQuestion> {
        strict_object(body).map(Self).map_err(BadQuestion::NotAnObject)
    }

    pub(super) fn members(&self) -> Members<'_> {
        Members { object: &self.0, at: String::new() }
    }

    pub(super) fn subject(&self) -> Result<AskedSubject<'_>, BadQuestion> {
        self.members().object("subject")?.subject()
    }

    pub(super) fn resource(&self) -> Result<AskedResource<'_>, BadQuestion> {
        self.members().object("resource")?.resource()
    }

    /// The name of its action. Its context must be right too, though no policy looks at it.
    pub(super) fn action(&self) -> Result<&str, BadQuestion> {
        self.members().object_if_any("context")?;
        self.members().object("action")?.action()
    }
}

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searched {
    /// Clients.
    Subject,
    /// Routes, or paths.
    Resource,
    /// Methods.
    Action,
}

impl Searched {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Resource => "resource",
            Self::Action => "action",
        }
    }
}

/// An object of a question, and where it stands there.
#[derive(Clone, Debug)]
pub(super) struct Members<'q> {
    object: &'q Map<String, Value>,
    /// Empty for the question itself.
    at: String,
}

impl<'q> Members<'q> {
    /// The object of one of several questions.
    pub(super) fn of_item(value: &'q Value, at: String) -> Result<Self, BadQuestion> {
        match value {
            Value::Object(object) => Ok(Self { object, at }),
            _ => Err(BadQuestion::WrongType { at, wanted: "an object" }),
        }
    }

    /// What a member is called in words.
    fn place(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// A member that is there. One that is `null` is not (section 11.5).
    pub(super) fn get(&self, name: &str) -> Option<&'q Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn wrong(&self, name: &str, wanted: &'static str) -> BadQuestion {
        BadQuestion::WrongType { at: self.place(name), wanted }
    }

    pub(super) fn bad(&self, name: &str, why: impl Into<String>) -> BadQuestion {
        BadQuestion::BadValue { at: self.place(name), why: why.into() }
    }

    pub(super) fn object_if_any(&self, name: &str) -> Result<Option<Members<'q>>, BadQuestion> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Members { object, at: self.place(name) })),
            Some(_) => Err(self.wrong(name, "an object")),
        }
    }

    pub(super) fn object(&self, name: &str) -> Result<Members<'q>, BadQuestion> {
        let missing = || BadQuestion::Missing { at: self.place(name), wanted: "an object" };
        self.object_if_any(name)?.ok_or_else(missing)
    }

    pub(super) fn text_if_any(&self, name: &str) -> Result<Option<&'q str>, BadQuestion> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "text")),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<&'q str, BadQuestion> {
        let missing = || BadQuestion::Missing { at: self.place(name), wanted: "text" };
        self.text_if_any(name)?.ok_or_else(missing)
    }

    /// Of a subject (section 5.1).
    pub(super) fn subject(&self) -> Result<AskedSubject<'q>, BadQuestion> {
        let kind = SubjectType::of(self.text("type")?);
        // a bearer has no name, though the specification asks for one (section 5.1)
        let id = match kind {
            SubjectType::Bearer => self.text_if_any("id")?.unwrap_or_default(),
            SubjectType::Client | SubjectType::Unknown => self.text("id")?,
        };
        let properties = self.object_if_any("properties")?;
        Ok(match kind {
            SubjectType::Client => AskedSubject::Client(id),
            SubjectType::Bearer => AskedSubject::Bearer(match properties {
                Some(properties) => properties.bearer()?,
                None => Permissions::default(),
            }),
            SubjectType::Unknown => AskedSubject::Unknown,
        })
    }

    /// The type of a subject that is searched for. Its `id` says nothing (section 8.4.1).
    pub(super) fn subject_type(&self) -> Result<(&'q str, SubjectType), BadQuestion> {
        let kind = self.text("type")?;
        self.object_if_any("properties")?;
        Ok((kind, SubjectType::of(kind)))
    }

    /// Of a resource (section 5.2).
    pub(super) fn resource(&self) -> Result<AskedResource<'q>, BadQuestion> {
        let (kind, id) = (self.text("type")?, self.text("id")?);
        let parameters = self.properties()?;
        Ok(match ResourceType::of(kind) {
            ResourceType::Route => AskedResource::Route { pattern: id, parameters },
            ResourceType::Path => AskedResource::Path(id),
            ResourceType::Unknown => AskedResource::Unknown,
        })
    }

    /// The type of a resource that is searched for, as [`Self::subject_type`].
    pub(super) fn resource_type(&self) -> Result<(&'q str, ResourceType), BadQuestion> {
        let kind = self.text("type")?;
        Ok((kind, ResourceType::of(kind)))
    }

    pub(super) fn properties(&self) -> Result<Option<&'q Map<String, Value>>, BadQuestion> {
        Ok(self.object_if_any("properties")?.map(|properties| properties.object))
    }

    /// Of an action (section 5.3): its name, which is a method.
    pub(super) fn action(&self) -> Result<&'q str, BadQuestion> {
        self.object_if_any("properties")?;
        self.text("name")
    }

    /// What a bearer has.
    fn bearer(&self) -> Result<Permissions, BadQuestion> {
        let claims = self.object_if_any("claims")?.map(|claims| claims.object.clone());
        let bearer = Permissions {
            client: None,
            sub: None,
            scopes: self.names("scopes", Scope::parse)?.into_iter().collect(),
            roles: self.names("roles", Role::parse)?,
            claims: claims.unwrap_or_default(),
        };
        bearer.with_sub_of_claims().map_err(|bad| self.bad("claims", bad.to_string()))
    }

    /// The names of a list, if there is one.
    fn names<N, E: ToString>(
        &self,
        list: &str,
        parse: impl Fn(&str) -> Result<N, E>,
    ) -> Result<Vec<N>, BadQuestion> {
        let wrong = || self.wrong(list, "a list of texts");
        let Some(names) = self.get(list) else { return Ok(Vec::new()) };
        let names = names.as_array().ok_or_else(wrong)?.iter();
        names
            .map(|name| {
                parse(name.as_str().ok_or_else(wrong)?).map_err(|bad| self.bad(list, bad.to_string()))
            })
            .collect()
    }
}
