// Package longtail trains classifiers on long-tailed data.
package longtail
