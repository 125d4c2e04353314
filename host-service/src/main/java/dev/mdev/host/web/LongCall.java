package dev.mdev.host.web;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/// Marks a method of a controller whose work may take long. A client that prefers so gets its
/// answer at once, and the work goes on as an operation. The method uses neither the request nor
/// the response.
@Documented
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
public @interface LongCall {
    /// The word for what it does, such as `remove`.
    String value();
}
